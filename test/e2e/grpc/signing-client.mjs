/** grpc-js as a client of the signing service: `node signing-client.mjs HOST:PORT ROOT-FILE TOKEN REQUEST-BASE64`. */
import { readFileSync } from 'node:fs';
import { Client, credentials, Metadata } from '@grpc/grpc-js';

const [address, rootFile, token, request] = process.argv.slice(2);
const client = new Client(address, credentials.createSsl(readFileSync(rootFile)));
const metadata = new Metadata();
metadata.set('authorization', `Bearer ${token}`);
const asItIs = (bytes) => bytes;
client.makeUnaryRequest(
  '/istio.v1.auth.IstioCertificateService/CreateCertificate',
  asItIs,
  asItIs,
  Buffer.from(request, 'base64'),
  metadata,
  (error, reply) => {
    console.log(
      JSON.stringify(
        error ? { code: error.code, details: error.details } : { code: 0, reply: reply.toString('base64') },
      ),
    );
    client.close();
  },
);
