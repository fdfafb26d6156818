// A certificate for 127.0.0.1 and localhost, made when a test needs it, so that no key lies in the repository.

import { generateKeyPairSync, sign } from 'node:crypto';

function der(tag, ...contents) {
  const body = Buffer.concat(contents.map((content) => Buffer.from(content)));
  const { length } = body;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...size), body]);
}

const sequence = (...contents) => der(0x30, ...contents);
const ECDSA_WITH_SHA256 = sequence(der(0x06, [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));
const COMMON_NAME = der(0x06, [0x55, 0x04, 0x03]);
const SUBJECT_ALT_NAME = der(0x06, [0x55, 0x1d, 0x11]);

/** Key and self-signed certificate in PEM, valid for an hour or, where it is `expired`, until a minute ago. */
export function certificate({ expired = false } = {}) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const time = (offset) => {
    const digits = new Date(Date.now() + offset * 1000).toISOString().replace(/\D/g, '');
    return der(0x17, `${digits.slice(2, 14)}Z`);
  };
  const name = sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, 'test'))));
  const names = sequence(der(0x82, 'localhost'), der(0x87, [127, 0, 0, 1]));
  const body = sequence(
    der(0xa0, der(0x02, [2])),
    der(0x02, [1]),
    ECDSA_WITH_SHA256,
    name,
    sequence(time(-3600), time(expired ? -60 : 3600)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(sequence(SUBJECT_ALT_NAME, der(0x04, names)))),
  );
  const signed = sequence(body, ECDSA_WITH_SHA256, der(0x03, [0], sign('sha256', body, privateKey)));
  const lines = signed
    .toString('base64')
    .match(/.{1,64}/g)
    .join('\n');
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
  };
}
