import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { KeyInvalid } from './errors.ts';

/** Holds the signature over the bytes of `digests.json`. */
export const SIGNATURE_FILE = 'signature.json';

/** A public key as people write it: `ed25519:` and its 32 bytes in base64. */
export type KeyName = `ed25519:${string}`;

const KEY_NAME = /^ed25519:[A-Za-z0-9+/]{43}=$/;

/** Bytes in front of an Ed25519 public key in its SPKI form (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** Tells whether a text has the form of a key's name. */
export function isKeyName(text: string): text is KeyName {
  return KEY_NAME.test(text);
}

/** A new pair of keys as PEM text (PKCS #8 and SPKI), as openssl reads them. */
export function generateKeys(): {
  readonly privatePem: string;
  readonly publicPem: string;
  readonly name: KeyName;
} {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    privatePem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    publicPem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    name: nameOf(publicKey),
  };
}

/**
 * Name of the key in a PEM text, public or private.
 *
 * @param where - Name of the text in error messages.
 * @throws KEY_INVALID
 */
export function keyName(pem: string, where: string): KeyName {
  return nameOf(ed25519(() => createPublicKey(pem), where));
}

/**
 * Makes the text of `signature.json` for the text of `digests.json`.
 *
 * @throws KEY_INVALID
 */
export function signDigests(digests: Uint8Array, privatePem: string, where: string): string {
  const key = ed25519(() => createPrivateKey(privatePem), where);
  const json = {
    algorithm: 'ed25519',
    key: nameOf(createPublicKey(key)),
    signature: sign(null, digests, key).toString('base64'),
  };
  return `${JSON.stringify(json, undefined, 2)}\n`;
}

/**
 * Checks a signature.
 *
 * @returns the key that made it; whether that key is trusted is another question.
 * @throws Error with a phrase that says what is wrong.
 */
export function verifySignature(digests: Uint8Array, signatureText: string): KeyName {
  const { algorithm, key, signature } = parse(signatureText);
  if (
    algorithm !== 'ed25519' ||
    typeof key !== 'string' ||
    typeof signature !== 'string' ||
    !isKeyName(key)
  ) {
    throw new Error(`its ${SIGNATURE_FILE} is not a signature that this version knows`);
  }
  const raw = Buffer.from(key.slice('ed25519:'.length), 'base64');
  const publicKey = createPublicKey({
    key: Buffer.concat([SPKI_PREFIX, raw]),
    format: 'der',
    type: 'spki',
  });
  if (nameOf(publicKey) !== key || !verify(null, digests, publicKey, Buffer.from(signature, 'base64'))) {
    throw new Error('its signature does not fit its files');
  }
  return key;
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === 'object' && json !== null) return json as Readonly<Record<string, unknown>>;
  } catch {
    // Falls through: the caller says what is wrong with it.
  }
  return {};
}

function nameOf(publicKey: KeyObject): KeyName {
  const der = publicKey.export({ format: 'der', type: 'spki' });
  return `ed25519:${der.subarray(SPKI_PREFIX.length).toString('base64')}`;
}

function ed25519(read: () => KeyObject, where: string): KeyObject {
  let key: KeyObject;
  try {
    key = read();
  } catch (cause) {
    throw new KeyInvalid({ file: where, problem: 'it holds no such key in PEM form' }, { cause });
  }
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new KeyInvalid({
      file: where,
      problem: `it holds a key of the kind ${key.asymmetricKeyType ?? 'unknown'}, not Ed25519`,
    });
  }
  return key;
}
