// What the library does by itself: timeouts, retries, load balancing.

import { readFileSync } from 'node:fs';

const read = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');

/** Fits every caller: the library repeats what is never charged. */
export const SERVICE_CONFIG = read('service-config.json');

/** For callers that set a `requestId` on every lookup and create: these are repeated, too. */
export const SERVICE_CONFIG_FOR_REQUEST_IDS = read('service-config.request-id.json');
