// A connection to the gateway, its typed clients, and the token that goes with each call.

import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

import {
  type DescMessage,
  type DescMethodUnary,
  type DescService,
  type MessageInitShape,
  type MessageShape,
  create,
  fromBinary,
  toBinary,
} from '@bufbuild/protobuf';
import { type ChannelOptions, type Interceptor, Client as Channel, Metadata, credentials } from '@grpc/grpc-js';

import { GatewayError } from './errors.js';
import { SERVICE_CONFIG } from './service-config.js';

// What the gateway sends at most (`server.max_response_bytes`). The library takes 4 MiB unless told otherwise, which is too
// little for images and documents.
const LARGEST_REPLY = 16 * 1024 * 1024;
// Node takes 64 KiB at a time unless told otherwise: 80 ways there and back for an image.
const WINDOW = 4 * 1024 * 1024;

/** Options of a connection. Without any it speaks TLS, trusts whom Node trusts, and sends no token. */
export interface Options {
  /** Speaks no TLS: for a sandbox on the same machine, or where a mesh encrypts. */
  plaintext?: boolean;
  /** File with the certificates (PEM) that the gateway's is verified against. */
  caFile?: string;
  /** Is asked for a bearer token before each call; see `tokenFile`. It is not sent without TLS. */
  token?: () => string | Promise<string>;
  /** `SERVICE_CONFIG` unless it is given. */
  serviceConfig?: string;
  /** Calls fail at once while no gateway can be reached. Without it they wait until their deadlines. */
  failFast?: boolean;
  /** Of the library, such as those that send trace context. */
  interceptors?: Interceptor[];
}

/** Options of a call. */
export interface CallOptions {
  /** How long it may take; the service config says it (30 s) if it is not given. */
  timeoutMs?: number;
  /** Further headers. */
  metadata?: Metadata;
}

type Call<M> =
  M extends DescMethodUnary<infer I extends DescMessage, infer O extends DescMessage>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : never;

/** The methods of a service. They return promises, which are rejected with a `GatewayError`. */
export type Client<S extends DescService> = { [M in keyof S['method']]: Call<S['method'][M]> };

/** A connection, which is made when it is first needed. */
export interface Gateway {
  client<S extends DescService>(service: S): Client<S>;
  close(): void;
}

/** Connects to `host:port`. */
export function connect(address: string, options: Options = {}): Gateway {
  const config = options.serviceConfig ?? SERVICE_CONFIG;
  const channelOptions: ChannelOptions = {
    'grpc.service_config': options.failFast ? config.replaceAll('"waitForReady": true', '"waitForReady": false') : config,
    'grpc.max_receive_message_length': LARGEST_REPLY,
    'grpc-node.flow_control_window': WINDOW,
  };
  const channel = new Channel(address, transport(options), { ...channelOptions, interceptors: options.interceptors ?? [] });
  return {
    client<S extends DescService>(service: S) {
      const calls = service.methods.map((method) => [method.localName, call(channel, method as DescMethodUnary)]);
      return Object.fromEntries(calls) as Client<S>;
    },
    close: () => channel.close(),
  };
}

function call(channel: Channel, method: DescMethodUnary) {
  const path = `/${method.parent.typeName}/${method.name}`;
  return (request: MessageInitShape<DescMessage>, { timeoutMs, metadata = new Metadata() }: CallOptions = {}) =>
    new Promise((resolve, reject) => {
      channel.makeUnaryRequest(
        path,
        (message: MessageShape<DescMessage>) => Buffer.from(toBinary(method.input, message)),
        (bytes: Buffer) => fromBinary(method.output, bytes),
        create(method.input, request),
        metadata,
        // A deadline is a moment, counted from now.
        timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs },
        (error, answer) => (error ? reject(new GatewayError(error)) : resolve(answer)),
      );
    });
}

function transport({ plaintext, caFile, token }: Options) {
  if (plaintext) {
    if (token) throw new Error('a token is not sent in the clear: it needs TLS');
    if (caFile !== undefined) throw new Error('caFile is for TLS, and plaintext is none');
    return credentials.createInsecure();
  }
  const tls = credentials.createSsl(caFile === undefined ? null : readFileSync(caFile));
  return token ? credentials.combineChannelCredentials(tls, bearer(token)) : tls;
}

/** Reads the token anew for each call: tokens are renewed in place. */
export const tokenFile = (path: string) => async () => (await readFile(path, 'utf8')).trim();

function bearer(token: () => string | Promise<string>) {
  const headers = async () => {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${await token()}`);
    return metadata;
  };
  return credentials.createFromMetadataGenerator((_options, done) => {
    headers().then((metadata) => done(null, metadata), done);
  });
}
