// A call that came too late is made again, and paid for once.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { status } from '@grpc/grpc-js';

import type { CallOptions } from './connect.js';
import { GatewayError } from './errors.js';

// As long as the gateway itself gives a call that names no deadline.
const LONGEST_MS = 30_000;
// The attempts of a call of which the gateway did not say how long its answer can be had.
const ATTEMPTS = 5;
// Between two attempts where nobody says how long to wait: the first time, and at most.
const PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 10_000;
// Who is told to wait longer than that decides for himself.
const LONGEST_WAIT_MS = 60_000;

/** A `requestId`: one for each question, kept with it for as long as it is asked again. */
export const newRequestId = (): string => randomUUID();

/**
 * Makes a call, and makes it again: with twice the time when its deadline has passed, after a pause when it was refused for
 * now (as long as the gateway says, up to a minute) or when nothing is known because no gateway made the error. By its
 * `requestId`, which it must have, it is the same call for the gateway: what was paid for is not paid for again. When the
 * answer cannot be had any more, or the call has failed otherwise, the error is thrown. `late` is told of each error before
 * that.
 */
export async function untilAnswered<Q, A>(
  call: (request: Q, options: CallOptions) => Promise<A>,
  request: Q & { requestId: string },
  { timeoutMs, late, ...options }: CallOptions & { timeoutMs: number; late?: (error: GatewayError) => void },
): Promise<A> {
  if (!request.requestId) throw new Error('without a requestId a call that is made again may be charged again');
  let until: Date | undefined;
  let pauseMs = PAUSE_MS;
  for (let attempt = 1; ; attempt++) {
    try {
      return await call(request, { ...options, timeoutMs });
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      const waitMs = waitAfter(error, pauseMs);
      if (waitMs === undefined || waitMs > LONGEST_WAIT_MS) throw error;
      until = error.recoverableUntil ?? until;
      // `until` is not known if the library's own clock was quicker, nor if nothing was sent to the provider.
      if (until === undefined ? attempt === ATTEMPTS : Date.now() + waitMs >= until.getTime()) throw error;
      late?.(error);
      if (error.code === status.DEADLINE_EXCEEDED) {
        timeoutMs = Math.min(2 * timeoutMs, LONGEST_MS);
      } else {
        await sleep(waitMs);
        pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      }
    }
  }
}

// How long to wait before the call is made again; undefined if it is not.
function waitAfter({ code, reason, retryAfterMs }: GatewayError, pauseMs: number): number | undefined {
  // The time has passed already. With PROVIDER_TIMEOUT it is the provider's, and not this call's.
  if (code === status.DEADLINE_EXCEEDED && (reason === undefined || reason === 'DEADLINE_EXCEEDED')) return 0;
  // No gateway made this error: nothing is known.
  if (reason === undefined) return retryAfterMs || pauseMs;
  const refused = code === status.UNAVAILABLE || code === status.RESOURCE_EXHAUSTED;
  return refused && retryAfterMs ? retryAfterMs : undefined;
}
