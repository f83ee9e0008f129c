// A call that came too late is made again, and paid for once.

import { randomUUID } from 'node:crypto';

import { status } from '@grpc/grpc-js';

import type { CallOptions } from './connect.js';
import { GatewayError } from './errors.js';

// As long as the gateway itself gives a call that names no deadline.
const LONGEST_MS = 30_000;
// The attempts of a call of which the gateway did not say how long its answer can be had.
const ATTEMPTS = 5;

/** A `requestId`: one for each question, kept with it for as long as it is asked again. */
export const newRequestId = (): string => randomUUID();

/**
 * Makes a call, and makes it again with twice the time whenever its deadline has passed. By its `requestId`, which it must
 * have, it is the same call for the gateway: what was paid for is not paid for again. When the answer cannot be had any
 * more, or the call has failed otherwise, the error is thrown. `late` is told of each error before that.
 */
export async function untilAnswered<Q, A>(
  call: (request: Q, options: CallOptions) => Promise<A>,
  request: Q & { requestId: string },
  { timeoutMs, late, ...options }: CallOptions & { timeoutMs: number; late?: (error: GatewayError) => void },
): Promise<A> {
  if (!request.requestId) throw new Error('without a requestId a call that is made again may be charged again');
  let until: Date | undefined;
  for (let attempt = 1; ; attempt++) {
    try {
      return await call(request, { ...options, timeoutMs });
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== status.DEADLINE_EXCEEDED) throw error;
      // The provider's time has passed, and not this call's: there will be no answer.
      if (error.reason !== undefined && error.reason !== 'DEADLINE_EXCEEDED') throw error;
      until = error.recoverableUntil ?? until;
      // `until` is not known if the library's own clock was quicker, nor if nothing was sent to the provider.
      if (until === undefined ? attempt === ATTEMPTS : Date.now() >= until.getTime()) throw error;
      late?.(error);
    }
    timeoutMs = Math.min(2 * timeoutMs, LONGEST_MS);
  }
}
