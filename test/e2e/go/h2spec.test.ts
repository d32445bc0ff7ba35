import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createLogger } from '../../../kernel/logger.ts';
import { withDefaultGrpcLimits } from '../../../kernel/server/connection-guard.ts';
import { GrpcServer } from '../../../kernel/server/grpc-server.ts';
import { needTool } from '../tool.ts';
import { h2spec } from './go-tools.ts';

/** What does not pass, and why that is as it should be. */
const KNOWN: Readonly<Record<string, string>> = {
  'generic/2 Sends a WINDOW_UPDATE frame on half-closed (remote) stream': 'it wants a body for GET',
  'generic/2 Sends a PRIORITY frame on half-closed (remote) stream': 'it wants a body for GET',
  'http2/5.1 half closed (remote): Sends a DATA frame': 'the stream has ended, with the answer to GET',
  'http2/5.1 closed: Sends a DATA frame after sending RST_STREAM frame':
    'frames of ended streams are passed over',
  'http2/5.1 closed: Sends a DATA frame': 'frames of ended streams are passed over',
  'http2/5.1.2 Sends HEADERS frames that causes their advertised concurrent stream limit to be exceeded':
    'its streams end at once, with the answer to GET',
  'http2/5.3.1 Sends HEADERS frame that depend on itself': 'RFC 9113 has no priorities',
  'http2/5.3.1 Sends PRIORITY frame that depend on itself': 'RFC 9113 has no priorities',
  'http2/6.1 Sends a DATA frame on the stream that is not in "open" or "half-closed (local)" state':
    'the stream has ended, with the answer to GET',
  'http2/6.3 Sends a PRIORITY frame with 0x0 stream identifier': 'RFC 9113 has no priorities',
  'http2/6.3 Sends a PRIORITY frame with a length other than 5 octets': 'RFC 9113 has no priorities',
  'http2/8.1.2.6 Sends a HEADERS frame with the "content-length" header field which does not equal the DATA frame payload length':
    'gRPC does not use the field',
  'http2/8.1.2.6 Sends a HEADERS frame with the "content-length" header field which does not equal the sum of the multiple DATA frames payload length':
    'gRPC does not use the field',
};

describe('h2spec', function () {
  this.timeout(300_000);

  it('finds nothing in the gRPC listener beyond what is known', async function () {
    const program = await needTool(this, 'h2spec', h2spec);
    const folder = await mkdtemp(path.join(tmpdir(), 'lamella-h2spec-'));
    const server = new GrpcServer({
      target: { unary: async (_path, request) => request, stream: (_path, requests) => requests },
      identify: () => undefined,
      maxMessageBytes: 1_000_000,
      log: createLogger({ level: 'silent' }),
      limits: withDefaultGrpcLimits(),
    });
    try {
      const [host = '', port = ''] = (await server.listen('127.0.0.1', 0)).split(':');
      const report = path.join(folder, 'report.xml');
      // It ends with an error when anything at all has failed; the report says what.
      await new Promise<void>((resolve) => {
        execFile(program, ['-h', host, '-p', port, '--timeout', '2', '-j', report], () => resolve());
      });
      const { tests, failed } = read(await readFile(report, 'utf8'));
      assert.equal(tests, 145);
      assert.deepEqual(
        failed.filter((name) => KNOWN[name] === undefined),
        [],
      );
    } finally {
      await server.close(100);
      await rm(folder, { recursive: true });
    }
  });
});

/** What a report in JUnit's XML says. */
function read(xml: string): { tests: number; failed: string[] } {
  const cases = [...xml.matchAll(/<testcase package="(.*?)" classname="(.*?)" time="[\d.]+">\s*(<error)?/g)];
  const failed = cases
    .filter(([, , , error]) => error !== undefined)
    .map(([, section = '', name = '']) => `${section} ${name.replaceAll('&#34;', '"')}`);
  return { tests: cases.length, failed };
}
