// A complete client of the identity gateway. docs/clients.md says how to run it and what it shows.
// The contract is read from ../../proto when the program starts; there is nothing to build.

import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const packages = protoLoader.loadSync(
  ['idgw/identity/v1/identity_service.proto', 'idgw/person/v1/person_service.proto', 'rpc_status.proto'],
  { includeDirs: [here('../../proto'), here('.')], keepCase: true, longs: String, enums: String, defaults: true },
);
const { idgw } = grpc.loadPackageDefinition(packages);

// How each detail of an error is read, by the last part of its type's name.
const details = Object.fromEntries(
  ['Status', 'ErrorInfo', 'BadRequest', 'RetryInfo'].map((name) => [name, packages[`google.rpc.${name}`].deserialize]),
);

// Sends the token with each call. The file is read each time: tokens are renewed in place.
function bearerToken(file) {
  return grpc.credentials.createFromMetadataGenerator((_call, done) => {
    readFile(file, 'utf8').then((token) => {
      const metadata = new grpc.Metadata();
      metadata.set('authorization', `Bearer ${token.trim()}`);
      done(null, metadata);
    }, done);
  });
}

// Sends W3C trace context: each call is a span of its own in one trace. With OpenTelemetry in the program, use
// @opentelemetry/instrumentation-grpc instead.
function traceContext(traceId) {
  return (options, nextCall) =>
    new grpc.InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        metadata.set('traceparent', `00-${traceId}-${randomBytes(8).toString('hex')}-01`);
        next(metadata, listener);
      },
    });
}

// What the gateway sends at most (`server.max_response_bytes`). Libraries take 4 MiB unless told otherwise, which is too
// little for images and documents.
const LARGEST_REPLY = 16 * 1024 * 1024;

// The service config. Without `waitForReady` calls fail at once while no gateway can be reached.
const serviceConfig = readFileSync(
  process.env.GATEWAY_SERVICE_CONFIG ?? here('../../deploy/client/service-config.json'),
  'utf8',
);

// A client of a service, by the environment: TLS if there is a CA file, a token if there is a token file. Clients
// with the same settings share a connection.
function connect(Service, traceId, address = process.env.GATEWAY_ADDRESS ?? 'localhost:50051', config = serviceConfig) {
  const { GATEWAY_CA_FILE, GATEWAY_TOKEN_FILE } = process.env;
  let credentials = grpc.credentials.createInsecure();
  if (GATEWAY_CA_FILE) {
    credentials = grpc.credentials.createSsl(readFileSync(GATEWAY_CA_FILE));
    if (GATEWAY_TOKEN_FILE) {
      credentials = grpc.credentials.combineChannelCredentials(credentials, bearerToken(GATEWAY_TOKEN_FILE));
    }
  } else if (GATEWAY_TOKEN_FILE) {
    throw new Error('GATEWAY_TOKEN_FILE needs GATEWAY_CA_FILE: a token is not sent in the clear');
  }
  const client = new Service(address, credentials, {
    'grpc.service_config': config,
    'grpc.max_receive_message_length': LARGEST_REPLY,
    // Node takes 64 KiB at a time unless told otherwise: 80 ways there and back for an image.
    'grpc-node.flow_control_window': 4 * 1024 * 1024,
    interceptors: [traceContext(traceId)],
  });
  // The methods take callbacks; here they return promises.
  const call = (method) => promisify(client[method].bind(client));
  return { call, close: () => client.close() };
}

// A deadline is a moment, counted from now.
const within = (seconds) => ({ deadline: Date.now() + seconds * 1000 });

// The details of an error by their names. There are none if it comes from the library itself.
function detailsOf(error) {
  const [encoded] = error.metadata?.get('grpc-status-details-bin') ?? [];
  const status = encoded ? details.Status(encoded) : { details: [] };
  const named = status.details.map(({ type_url, value }) => [type_url.split('.').pop(), value]);
  return Object.fromEntries(named.map(([name, value]) => [name, details[name]?.(value)]));
}

// What an error says of itself: `CODE REASON`, who is to blame and what it cost, which fields, when to come again.
function explain(error) {
  // A passed deadline has details only if the gateway's answer was quicker than the library's own clock.
  if (error.code === grpc.status.DEADLINE_EXCEEDED) return grpc.status[error.code];
  const { ErrorInfo: info, BadRequest: bad, RetryInfo: retry } = detailsOf(error);
  const { provider, billing } = info?.metadata ?? {};
  // Without ErrorInfo it is not the gateway's: nobody says what it cost, or whether anything was sent.
  const cause = info ? ` ${info.reason}` + (billing ? ` by ${provider}, ${billing}` : '') : ' without ErrorInfo';
  const fields = bad ? ` in ${bad.field_violations.map((violation) => violation.field).sort().join(', ')}` : '';
  const again = retry ? `, again after ${retry.retry_delay.seconds} s` : '';
  return grpc.status[error.code] + cause + fields + again;
}

// As long as the gateway itself gives a call that names no deadline, in seconds.
const LONGEST = 30;
// The attempts of a call of which the gateway did not say how long its answer can be had.
const ATTEMPTS = 5;

// Makes a call whose request has a `request_id`, and again with twice the time whenever its deadline has passed. It is
// the same call for the gateway: what was paid for is not paid for again. `late` is told of each error that is not the
// last. When the answer cannot be had any more, or the call has failed otherwise, that error is thrown.
async function untilAnswered(call, request, seconds, late) {
  let until;
  for (let attempt = 1; ; attempt++) {
    try {
      return await call(request, within(seconds));
    } catch (error) {
      if (error.code !== grpc.status.DEADLINE_EXCEEDED) throw error;
      const info = detailsOf(error).ErrorInfo;
      // The provider's time has passed, and not this call's: there will be no answer.
      if (info && info.reason !== 'DEADLINE_EXCEEDED') throw error;
      // `until` is not known if the library's own clock was quicker, nor if nothing was sent to the provider.
      if (info?.metadata.recoverable_until) until = Date.parse(info.metadata.recoverable_until);
      if (until === undefined ? attempt === ATTEMPTS : Date.now() >= until) throw error;
      late(error);
    }
    seconds = Math.min(2 * seconds, LONGEST);
  }
}

// Whether an earlier call has paid for the answer. It was there already, or still on its way to that call.
const isRecovered = ({ source }) => source === 'SOURCE_RECOVERED' || source === 'SOURCE_COALESCED';

// A `request_id`: one for each question, kept for as long as it is asked again.
const newId = () => randomUUID();

// Makes a call that must fail; its explanation.
async function refused(call, request, options = {}) {
  try {
    await call(request, options);
  } catch (error) {
    return explain(error);
  }
  throw new Error('the call should have been refused');
}

const traceId = process.env.TRACEPARENT?.split('-')[1] ?? randomBytes(16).toString('hex');
console.log('trace:', traceId);
const identities = connect(idgw.identity.v1.IdentityService, traceId);
const persons = connect(idgw.person.v1.PersonService, traceId);
const checkCurp = identities.call('CheckCurp');
const scrubKenyaId = identities.call('ScrubKenyaId');
const verifyPeForeignerId = identities.call('VerifyPeForeignerId');
const createPerson = persons.call('CreatePerson');
const getPerson = persons.call('GetPerson');

// A verification. The answer says what was found, who said it, and what it cost.
const { verification: found, record } = await checkCurp(
  { curp: 'RAZR811011HVZXPB01', request_id: newId() },
  within(10),
);
console.log(`found: ${found.outcome} by ${found.provider}, ${found.billing}, ${record.status}`);

// Nobody by that number: a successful call, not an error.
const kenyan = { id: '00000000', id_type: 'KENYA_ID_TYPE_NATIONAL_ID', subject_consent: true };
const { verification: nobody } = await scrubKenyaId({ ...kenyan, request_id: newId() }, within(10));
console.log(`nobody: ${nobody.outcome} by ${nobody.provider}`);

// Errors, read by their details. The message is for people; programs go by code and reason. These calls set no
// deadline: the service config has one for each.
const bad = { document_number: '?', birthdate: '2999-01-01', request_id: newId() };
console.log('bad request:', await refused(verifyPeForeignerId, bad));
const noConsent = { ...kenyan, subject_consent: false, request_id: newId() };
console.log('no consent:', await refused(scrubKenyaId, noConsent));
console.log('provider down:', await refused(checkCurp, { curp: 'DOWN900101HDFSND09', request_id: newId() }));

// A registry that takes longer than the call may: the same call again gets what the first one has paid for.
const slow = { ...kenyan, id: '900002001', request_id: newId() };
const errors = [];
const { verification: late } = await untilAnswered(scrubKenyaId, slow, 1, (error) => errors.push(error));
const paidFor = isRecovered(late) ? 'recovered' : 'asked again';
console.log(`too slow: ${explain(errors[0])}, then ${late.outcome}, ${paidFor}`);

// A create can be sent again with its request_id: it returns the first answer.
const image = Buffer.alloc(5 * 1024 * 1024);
const create = {
  person: { given_name: 'Grace', family_name: 'Muster', biometric_data: { face_image: image } },
  request_id: newId(),
};
const { person: first } = await createPerson(create, within(10));
const { person: again } = await createPerson(create, within(10));
console.log('created:', first.id === again.id ? 'once' : 'twice');

// A read is free: after UNAVAILABLE the library repeats it as the service config says.
const { person: read } = await getPerson({ id: first.id, view: 'PERSON_VIEW_FULL' }, within(10));
const mebibytes = read.biometric_data.face_image.length / (1024 * 1024);
console.log(`read: ${read.given_name} ${read.verification_status}, an image of ${mebibytes} MiB`);
console.log('read, provider down:', await refused(getPerson, { id: 'person_outofservice' }));

console.log('rate limit:', await refused(checkCurp, { curp: 'MUCH900101HDFSND01', request_id: newId() }));

// No gateway at all. Nothing has left here, but the library says the same of a connection that broke after the request was
// sent: so it is asked again with the same request_id, which never pays twice.
const impatient = serviceConfig.replaceAll('"waitForReady": true', '"waitForReady": false');
const nowhere = connect(idgw.identity.v1.IdentityService, traceId, 'localhost:1', impatient);
const asked = { curp: 'RAZR811011HVZXPB01', request_id: newId() };
console.log('gateway down:', await refused(nowhere.call('CheckCurp'), asked, within(10)));

for (const client of [identities, persons, nowhere]) client.close();
