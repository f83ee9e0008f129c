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

// A client of a service, by the environment: TLS if there is a CA file, a token if there is a token file. Clients
// with the same settings share a connection.
function connect(Service, traceId) {
  const { GATEWAY_ADDRESS, GATEWAY_CA_FILE, GATEWAY_TOKEN_FILE, GATEWAY_SERVICE_CONFIG } = process.env;
  let credentials = grpc.credentials.createInsecure();
  if (GATEWAY_CA_FILE) {
    credentials = grpc.credentials.createSsl(readFileSync(GATEWAY_CA_FILE));
    if (GATEWAY_TOKEN_FILE) {
      credentials = grpc.credentials.combineChannelCredentials(credentials, bearerToken(GATEWAY_TOKEN_FILE));
    }
  } else if (GATEWAY_TOKEN_FILE) {
    throw new Error('GATEWAY_TOKEN_FILE needs GATEWAY_CA_FILE: a token is not sent in the clear');
  }
  const serviceConfig = GATEWAY_SERVICE_CONFIG ?? here('../../deploy/client/service-config.json');
  const client = new Service(GATEWAY_ADDRESS ?? 'localhost:50051', credentials, {
    'grpc.service_config': readFileSync(serviceConfig, 'utf8'),
    interceptors: [traceContext(traceId)],
  });
  // The methods take callbacks; here they return promises.
  const call = (method) => promisify(client[method].bind(client));
  return { call, close: () => client.close() };
}

// A deadline is a moment, counted from now.
const within = (seconds) => ({ deadline: Date.now() + seconds * 1000 });

// What an error says of itself: `CODE REASON`, who is to blame and what it cost, which fields, when to come again.
function explain(error) {
  // A passed deadline has details only if the gateway's answer was quicker than the library's own clock.
  if (error.code === grpc.status.DEADLINE_EXCEEDED) return grpc.status[error.code];
  const [encoded] = error.metadata.get('grpc-status-details-bin');
  const status = encoded ? details.Status(encoded) : { details: [] };
  let [cause, fields, again] = ['', '', ''];
  for (const { type_url, value } of status.details) {
    const name = type_url.split('.').pop();
    const detail = details[name]?.(value);
    if (name === 'ErrorInfo') {
      const { provider, billing } = detail.metadata;
      cause = ` ${detail.reason}` + (billing ? ` by ${provider}, ${billing}` : '');
    } else if (name === 'BadRequest') {
      fields = ` in ${detail.field_violations.map((violation) => violation.field).sort().join(', ')}`;
    } else if (name === 'RetryInfo') {
      again = `, again after ${detail.retry_delay.seconds} s`;
    }
  }
  return grpc.status[error.code] + cause + fields + again;
}

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
const { verification: found, record } = await checkCurp({ curp: 'RAZR811011HVZXPB01' }, within(10));
console.log(`found: ${found.outcome} by ${found.provider}, ${found.billing}, ${record.status}`);

// Nobody by that number: a successful call, not an error.
const kenyan = { id: '00000000', id_type: 'KENYA_ID_TYPE_NATIONAL_ID', subject_consent: true };
const { verification: nobody } = await scrubKenyaId(kenyan, within(10));
console.log(`nobody: ${nobody.outcome} by ${nobody.provider}`);

// Errors, read by their details. The message is for people; programs go by code and reason. These calls set no
// deadline: the service config has one for each.
const bad = { document_number: '?', birthdate: '2999-01-01' };
console.log('bad request:', await refused(verifyPeForeignerId, bad));
console.log('no consent:', await refused(scrubKenyaId, { ...kenyan, subject_consent: false }));
console.log('provider down:', await refused(checkCurp, { curp: 'DOWN900101HDFSND09' }));
console.log('too slow:', await refused(scrubKenyaId, { ...kenyan, id: '900002002' }, within(1)));

// A create can be sent again with its request_id: it returns the first answer.
const create = { person: { given_name: 'Grace', family_name: 'Muster' }, request_id: randomUUID() };
const { person: first } = await createPerson(create, within(10));
const { person: again } = await createPerson(create, within(10));
console.log('created:', first.id === again.id ? 'once' : 'twice');

// A read is free: after UNAVAILABLE the library repeats it as the service config says.
const { person: read } = await getPerson({ id: first.id }, within(10));
console.log('read:', read.given_name, read.verification_status);
console.log('read, provider down:', await refused(getPerson, { id: 'person_outofservice' }));

console.log('rate limit:', await refused(checkCurp, { curp: 'MUCH900101HDFSND01' }));

identities.close();
persons.close();
