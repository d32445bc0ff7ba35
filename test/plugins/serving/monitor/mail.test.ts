import assert from 'node:assert/strict';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMTPServer } from 'smtp-server';
import { mailSink } from '../../../../plugins/serving/monitor/notify/mail-sink.ts';
import type { Notification } from '../../../../plugins/serving/monitor/notify/notification.ts';

const NOTIFICATION: Notification = {
  id: 'msg_1',
  receiver: 'r',
  groupLabels: { alertname: 'A' },
  timeMs: 1_000,
  alerts: [
    {
      id: '1',
      labels: { alertname: 'A', m: 'x\r\nbcc: other@example.org' },
      annotations: { summary: 'It is wrong' },
      value: 7,
      isFiring: true,
      startMs: 1,
      endMs: 0,
    },
  ],
  leftOut: 2,
};

interface Mail {
  readonly to: readonly string[];
  readonly user: string | undefined;
  readonly content: string;
}

describe('alerts by mail', () => {
  let server: SMTPServer;
  let mails: Mail[];
  let isSilent = false;
  const sockets: Set<Socket> = new Set();

  beforeEach(async () => {
    mails = [];
    isSilent = false;
    server = new SMTPServer({
      authOptional: true,
      allowInsecureAuth: true,
      hideSTARTTLS: true,
      logger: false,
      onAuth: ({ username, password }, _session, done) =>
        password === 'right' ? done(null, { user: username }) : done(new Error('wrong password')),
      onConnect: (_session, done) => (isSilent ? undefined : done()),
      onData: (stream, { envelope, user }, done) => {
        void text(stream).then((content) => {
          mails.push({ to: envelope.rcptTo.map(({ address }) => address), user, content });
          done();
        });
      },
    });
    server.server.on('connection', (socket: Socket) => sockets.add(socket));
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
  });

  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });

  function send(
    pass: string | undefined,
    signal: AbortSignal,
    tls: 'none' | 'starttls' = 'none',
  ): Promise<void> {
    const sink = mailSink({
      host: '127.0.0.1',
      port: (server.server.address() as AddressInfo).port,
      tls,
      from: 'lamella@example.org',
      to: ['one@example.org', 'two@example.org'],
      credentials: pass === undefined ? undefined : () => ({ user: 'me', pass }),
    });
    return sink.send(NOTIFICATION, signal);
  }

  it('say what fires, to everybody, with the same message id each time', async () => {
    await send('right', new AbortController().signal);
    await send(undefined, new AbortController().signal);
    const [first, second] = mails;
    assert.deepEqual([first?.to, first?.user], [['one@example.org', 'two@example.org'], 'me']);
    // [FIRING:3] A alertname="A"
    assert.match(
      first?.content ?? '',
      /^Subject: =\?UTF-8\?Q\?=5BFIRING=3A3=5D_A_alertname=3D=22A=22\?=\r$/m,
    );
    assert.match(first?.content ?? '', /It is wrong/);
    for (const mail of [first, second]) assert.match(mail?.content ?? '', /^Message-ID: <msg_1@lamella>\r$/m);
  });

  it('have no header that a label wrote', async () => {
    await send(undefined, new AbortController().signal);
    const [headers = ''] = (mails[0]?.content ?? '').split('\r\n\r\n');
    assert.doesNotMatch(headers, /^bcc:/im);
    assert.deepEqual(mails[0]?.to.length, 2);
  });

  it('are not sent with a wrong password, nor without the TLS that is asked for', async () => {
    await assert.rejects(send('wrong', new AbortController().signal), /wrong password/);
    await assert.rejects(send(undefined, new AbortController().signal, 'starttls'));
    assert.deepEqual(mails, []);
  });

  it('are given up when the server says nothing', async () => {
    isSilent = true;
    const controller = new AbortController();
    const connected = new Promise((resolve) => server.server.once('connection', resolve));
    const sending = assert.rejects(send(undefined, controller.signal), { name: 'AbortError' });
    await connected;
    controller.abort();
    await sending;
  });
});
