// The errors of calls, with the details that the gateway gives.

import { type DescMessage, type MessageShape, fromBinary } from '@bufbuild/protobuf';
import { type ServiceError, status } from '@grpc/grpc-js';

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema, StatusSchema } from './rpc_status_pb.js';

// Of the ErrorInfo that the gateway makes. Proxies have others.
const DOMAIN = 'identity-gateway';

/** One field of a request that is wrong. It has no value: values are personal data. */
export interface Violation {
  readonly field: string;
  readonly description: string;
}

/** Whether a call was charged. It is `unknown` of every error that the gateway has not made. */
export type Billing = 'billed' | 'not_billed' | 'unknown';

/** A call that has failed. Programs go by `code` and `reason`; `details` is for people. */
export class GatewayError extends Error {
  /** The gRPC code: `status.UNAVAILABLE`. */
  readonly code: status;
  /** What happened, for people. */
  readonly details: string;
  /** One of docs/errors.md. Undefined if the gateway has not made this error, but the library or a proxy. */
  readonly reason?: string;
  /** Of the reason, such as `provider`, `provider_code` and `http_status`. */
  readonly metadata: Readonly<Record<string, string>> = {};
  readonly billing: Billing = 'unknown';
  /** All fields of the request that are wrong, for INVALID_FIELD and what is like it. */
  readonly violations: readonly Violation[] = [];
  /** How long to wait before the call is made again; undefined if nothing is said of it. */
  readonly retryAfterMs?: number;
  /** How long the answer of a call whose deadline has passed can be had, with its `requestId`. */
  readonly recoverableUntil?: Date;

  constructor(error: ServiceError) {
    const info = detail(error, ErrorInfoSchema, ({ domain }) => domain === DOMAIN);
    super([status[error.code], info?.reason].filter(Boolean).join(' ') + `: ${error.details}`, { cause: error });
    this.name = 'GatewayError';
    this.code = error.code;
    this.details = error.details;
    if (info) {
      this.reason = info.reason;
      this.metadata = info.metadata;
      // The gateway says nothing of the cost where nothing was sent to a provider.
      this.billing = (info.metadata['billing'] ?? 'not_billed') as Billing;
      const moment = new Date(info.metadata['recoverable_until'] ?? NaN);
      if (!Number.isNaN(moment.getTime())) this.recoverableUntil = moment;
    }
    const violations = detail(error, BadRequestSchema)?.fieldViolations ?? [];
    this.violations = violations.map(({ field, description }) => ({ field, description }));
    const delay = detail(error, RetryInfoSchema)?.retryDelay;
    if (delay) this.retryAfterMs = Math.max(0, Number(delay.seconds) * 1000 + delay.nanos / 1e6);
  }
}

// The first detail of that kind. What cannot be read is not there, and hides nothing else.
function detail<D extends DescMessage>(
  error: ServiceError,
  kind: D,
  isMeant: (message: MessageShape<D>) => boolean = () => true,
): MessageShape<D> | undefined {
  const [encoded] = error.metadata?.get('grpc-status-details-bin') ?? [];
  const details = Buffer.isBuffer(encoded) ? read(StatusSchema, encoded)?.details : undefined;
  return details
    ?.filter(({ typeUrl }) => typeUrl.endsWith(`/${kind.typeName}`))
    .map(({ value }) => read(kind, value))
    .find((message) => message !== undefined && isMeant(message));
}

function read<D extends DescMessage>(kind: D, bytes: Uint8Array): MessageShape<D> | undefined {
  try {
    return fromBinary(kind, bytes);
  } catch {
    return undefined;
  }
}
