import { createHmac } from 'node:crypto';

const FORM = /^whsec_([A-Za-z0-9+/]+={0,2})$/;

/** Fewest and most bytes of a secret, as the standard asks for. */
const SECRET_BYTES = [24, 64] as const;

/** What is signed. */
export interface SignedMessage {
  readonly id: string;
  /** Time of the attempt, seconds since the epoch. */
  readonly timestamp: number;
  readonly body: string;
}

/**
 * Value of the header `webhook-signature` (Standard Webhooks 1.0: HMAC-SHA256 over id, time and body).
 *
 * @param secrets One secret `whsec_…`, or several with spaces between them while they are being replaced.
 * @throws Error when a secret is not valid
 */
export function webhookSignature({ id, timestamp, body }: SignedMessage, secrets: string): string {
  return secrets
    .trim()
    .split(/\s+/)
    .map((secret) => {
      const hmac = createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.${body}`);
      return `v1,${hmac.digest('base64')}`;
    })
    .join(' ');
}

function keyOf(secret: string): Buffer {
  const key = Buffer.from(FORM.exec(secret)?.[1] ?? '', 'base64');
  const [fewest, most] = SECRET_BYTES;
  if (key.length < fewest || key.length > most) {
    throw new Error(`the secret of a webhook is 'whsec_' and ${fewest} to ${most} bytes in base64`);
  }
  return key;
}
