// A complete client of the identity gateway. docs/clients.md says how to run it and what it shows.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { type Interceptor, InterceptingCall, status } from '@grpc/grpc-js';
import { type Gateway, GatewayError, connect, newRequestId, tokenFile, untilAnswered } from 'identity-gateway-client';
import {
  Billing,
  CurpStatus,
  IdentityService,
  KenyaIdType,
  Outcome,
  Source,
  type Verification,
} from 'identity-gateway-client/identity/v1';
import { PersonService, PersonView, VerificationStatus } from 'identity-gateway-client/person/v1';

// Sends W3C trace context: each call is a span of its own in one trace. With OpenTelemetry in the program, use
// @opentelemetry/instrumentation-grpc instead.
function traceContext(traceId: string): Interceptor {
  return (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        metadata.set('traceparent', `00-${traceId}-${randomBytes(8).toString('hex')}-01`);
        next(metadata, listener);
      },
    });
}

// A connection by the environment: TLS if there is a CA file, a token if there is a token file.
function gatewayAt(address: string, traceId: string, { failFast = false } = {}): Gateway {
  const { GATEWAY_CA_FILE: caFile, GATEWAY_TOKEN_FILE: token, GATEWAY_SERVICE_CONFIG: config } = process.env;
  return connect(address, {
    ...(caFile ? { caFile } : { plaintext: true }),
    ...(token && { token: tokenFile(token) }),
    ...(config && { serviceConfig: readFileSync(config, 'utf8') }),
    failFast,
    interceptors: [traceContext(traceId)],
  });
}

// What an error says of itself: `CODE REASON`, who is to blame and what it cost, which fields, when to come again.
function explain(error: GatewayError): string {
  // A passed deadline has details only if the gateway's answer was quicker than the library's own clock.
  if (error.code === status.DEADLINE_EXCEEDED) return status[error.code];
  const { provider, billing } = error.metadata;
  // Without a reason it is not the gateway's: nobody says what it cost, or whether anything was sent.
  const cause = error.reason ? ` ${error.reason}` + (billing ? ` by ${provider}, ${billing}` : '') : ' without ErrorInfo';
  const names = error.violations.map((violation) => violation.field).sort();
  const fields = names.length ? ` in ${names.join(', ')}` : '';
  const again = error.retryAfterMs === undefined ? '' : `, again after ${error.retryAfterMs / 1000} s`;
  return status[error.code] + cause + fields + again;
}

// The name of an enum's value as the contract writes it; in TypeScript it is without the enum's own.
const named = (name: string, values: Record<number, string>, value: number) => `${name}_${values[value]}`;

// Whether an earlier call has paid for the answer. It was there already, or still on its way to that call.
const isRecovered = ({ source }: Verification) => source === Source.RECOVERED || source === Source.COALESCED;

// Makes a call that must fail; its explanation.
async function refused(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (error instanceof GatewayError) return explain(error);
    throw error;
  }
  throw new Error('the call should have been refused');
}

const traceId = process.env.TRACEPARENT?.split('-')[1] ?? randomBytes(16).toString('hex');
console.log('trace:', traceId);
const gateway = gatewayAt(process.env.GATEWAY_ADDRESS ?? 'localhost:50051', traceId);
const identities = gateway.client(IdentityService);
const persons = gateway.client(PersonService);
const timeoutMs = 10_000;

// A verification. The answer says what was found, who said it, and what it cost.
const { verification: found, record } = await identities.checkCurp(
  { curp: 'RAZR811011HVZXPB01', requestId: newRequestId() },
  { timeoutMs },
);
const outcome = (verification?: Verification) => named('OUTCOME', Outcome, verification!.outcome);
const billing = named('BILLING', Billing, found!.billing);
const curpStatus = named('CURP_STATUS', CurpStatus, record!.status);
console.log(`found: ${outcome(found)} by ${found!.provider}, ${billing}, ${curpStatus}`);

// Nobody by that number: a successful call, not an error.
const kenyan = { id: '00000000', idType: KenyaIdType.NATIONAL_ID, subjectConsent: true };
const { verification: nobody } = await identities.scrubKenyaId({ ...kenyan, requestId: newRequestId() }, { timeoutMs });
console.log(`nobody: ${outcome(nobody)} by ${nobody!.provider}`);

// Errors, read by their details. The message is for people; programs go by code and reason. These calls set no
// deadline: the service config has one for each.
const bad = { documentNumber: '?', birthdate: '2999-01-01', requestId: newRequestId() };
console.log('bad request:', await refused(identities.verifyPeForeignerId(bad)));
const noConsent = { ...kenyan, subjectConsent: false, requestId: newRequestId() };
console.log('no consent:', await refused(identities.scrubKenyaId(noConsent)));
const down = { curp: 'DOWN900101HDFSND09', requestId: newRequestId() };
console.log('provider down:', await refused(identities.checkCurp(down)));

// A registry that takes longer than the call may: the same call again gets what the first one has paid for.
const slow = { ...kenyan, id: '900002001', requestId: newRequestId() };
const errors: GatewayError[] = [];
const { verification: late } = await untilAnswered(identities.scrubKenyaId, slow, {
  timeoutMs: 1000,
  late: (error) => errors.push(error),
});
const paidFor = isRecovered(late!) ? 'recovered' : 'asked again';
console.log(`too slow: ${explain(errors[0]!)}, then ${outcome(late)}, ${paidFor}`);

// A create can be sent again with its request_id: it returns the first answer.
const create = {
  person: {
    givenName: 'Grace',
    familyName: 'Muster',
    biometricData: { faceImage: new Uint8Array(5 * 1024 * 1024) },
  },
  requestId: newRequestId(),
};
const { person: first } = await persons.createPerson(create, { timeoutMs });
const { person: again } = await persons.createPerson(create, { timeoutMs });
console.log('created:', first!.id === again!.id ? 'once' : 'twice');

// A read is free: after UNAVAILABLE the library repeats it as the service config says.
const { person: read } = await persons.getPerson({ id: first!.id, view: PersonView.FULL }, { timeoutMs });
const mebibytes = read!.biometricData!.faceImage!.length / (1024 * 1024);
const checked = named('VERIFICATION_STATUS', VerificationStatus, read!.verificationStatus);
console.log(`read: ${read!.givenName} ${checked}, an image of ${mebibytes} MiB`);
console.log('read, provider down:', await refused(persons.getPerson({ id: 'person_outofservice' })));

const limited = { curp: 'MUCH900101HDFSND01', requestId: newRequestId() };
console.log('rate limit:', await refused(identities.checkCurp(limited)));

// No gateway at all. Nothing has left here, but the library says the same of a connection that broke after the request was
// sent: so it is asked again with the same request_id, which never pays twice.
const nowhere = gatewayAt('localhost:1', traceId, { failFast: true });
const asked = { curp: 'RAZR811011HVZXPB01', requestId: newRequestId() };
console.log('gateway down:', await refused(nowhere.client(IdentityService).checkCurp(asked, { timeoutMs })));

gateway.close();
nowhere.close();
