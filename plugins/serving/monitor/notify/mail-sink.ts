import { groupText } from './group-text.ts';
import type { Notification, NotifiedAlert, Sink } from './notification.ts';

/** A server that takes mail (SMTP), and whose mail it is. */
export interface MailOptions {
  readonly host: string;
  readonly port: number;
  /** `implicit` TLS from the first byte, `starttls` or nothing at all, `none` never. */
  readonly tls: 'implicit' | 'starttls' | 'none';
  readonly from: string;
  readonly to: readonly string[];
  /** Name and password, where the server wants them. */
  readonly credentials: (() => { readonly user: string; readonly pass: string }) | undefined;
}

/** Sends one mail for each notification. */
export function mailSink(options: MailOptions): Sink {
  return {
    send: async (notification, signal) => {
      signal.throwIfAborted();
      // Only who has mail to send pays for the library.
      const { createTransport } = await import('nodemailer');
      const transport = createTransport({
        host: options.host,
        port: options.port,
        secure: options.tls === 'implicit',
        requireTLS: options.tls === 'starttls',
        ignoreTLS: options.tls === 'none',
        ...(options.credentials === undefined ? {} : { auth: options.credentials() }),
        disableFileAccess: true,
        disableUrlAccess: true,
      });
      const stop = (): void => transport.close();
      signal.addEventListener('abort', stop, { once: true });
      try {
        await Promise.race([
          transport.sendMail({
            from: options.from,
            to: [...options.to],
            subject: subjectOf(notification),
            text: textOf(notification),
            // The same for each attempt, so that a mailbox can drop what it has.
            messageId: `<${notification.id}@lamella>`,
          }),
          aborted(signal),
        ]);
      } finally {
        signal.removeEventListener('abort', stop);
        transport.close();
      }
    },
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

function subjectOf({ alerts, leftOut, groupLabels }: Notification): string {
  const firing = alerts.filter(({ isFiring }) => isFiring).length;
  const state = firing > 0 ? `[FIRING:${firing + leftOut}]` : '[RESOLVED]';
  const names = [...new Set(alerts.map(({ labels }) => labels['alertname'] ?? ''))];
  return [state, names.slice(0, 5).join(', '), groupText(groupLabels)]
    .filter((part) => part !== '')
    .join(' ');
}

function textOf({ alerts, leftOut }: Notification): string {
  const more = leftOut === 0 ? [] : [`${leftOut} more alerts are not shown.`];
  return [...alerts.map(alertText), ...more].join('\n\n');
}

function alertText({ labels, annotations, value, isFiring, startMs, endMs }: NotifiedAlert): string {
  return [
    `${labels['alertname'] ?? ''} ${isFiring ? 'fires' : 'ended'}`,
    ...Object.entries(annotations).map(([name, text]) => `${name}: ${text}`),
    ...Object.entries(labels).map(([name, text]) => `  ${name} = ${text}`),
    `  value = ${value}`,
    `  since ${new Date(startMs).toISOString()}${isFiring ? '' : `, until ${new Date(endMs).toISOString()}`}`,
  ].join('\n');
}
