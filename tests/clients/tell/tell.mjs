// Makes calls with the package and prints what it knows: `tell.mjs ADDRESS errors|hasty|loop CURP...`, a line of JSON for each.

import { status } from '@grpc/grpc-js';
import * as sdk from 'identity-gateway-client';
import { IdentityService } from 'identity-gateway-client/identity/v1';

const [address, what, ...curps] = process.argv.slice(2);
const { GatewayError, newRequestId, untilAnswered } = sdk;
const hasty = { failFast: true, serviceConfig: sdk.SERVICE_CONFIG_FOR_REQUEST_IDS };
const gateway = sdk.connect(address, { plaintext: true, ...(what === 'hasty' ? hasty : {}) });
const { checkCurp } = gateway.client(IdentityService);
for (const curp of curps) {
  let asked = 1;
  let told = { code: 'OK' };
  try {
    if (what !== 'loop') await checkCurp({ curp }, { timeoutMs: 10_000 });
    else {
      const requestId = curp === 'no id' ? '' : newRequestId();
      await untilAnswered(checkCurp, { curp, requestId }, { timeoutMs: 10_000, late: () => asked++ });
    }
  } catch (error) {
    told = { refused: error.message };
    if (error instanceof GatewayError) {
      told = {
        code: status[error.code],
        message: error.details,
        reason: error.reason ?? '',
        billing: error.billing,
        metadata: error.metadata,
        violations: error.violations.map(({ field, description }) => [field, description]),
        retry_after: error.retryAfterMs === undefined ? null : error.retryAfterMs / 1000,
        recoverable_until: error.recoverableUntil ? error.recoverableUntil.getTime() / 1000 : null,
      };
    }
  }
  console.log(JSON.stringify({ ...told, asked }));
}
gateway.close();
