// What a caller of the identity gateway needs beside the contract, which is in `identity-gateway-client/identity/v1` and
// `identity-gateway-client/person/v1`: a connection, a token for each call, typed errors, and a call that is made again until
// its answer is there and is paid for once.

export { type CallOptions, type Client, type Gateway, type Options, connect, tokenFile } from './connect.js';
export { type Billing, GatewayError, type Violation } from './errors.js';
export { SERVICE_CONFIG, SERVICE_CONFIG_FOR_REQUEST_IDS } from './service-config.js';
export { newRequestId, untilAnswered } from './until-answered.js';
