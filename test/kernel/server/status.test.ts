import assert from 'node:assert/strict';
import { createRegistry, fromBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { fromStatus, toStatus, type WireStatus } from '../../../kernel/server/status.ts';
import { StatusError } from '../../../kernel/status-error.ts';
import { file_google_rpc_error_details as detailsFile } from '../../../proto/gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../../../proto/gen/google/rpc/status_pb.ts';
import { Code, DeclaredError, type DeclaredErrorInit } from '../../../sdk/index.ts';

const registry = createRegistry(detailsFile);

/** Types of the details of a status. */
function types({ detailsBin }: WireStatus): string[] {
  const { details } = fromBinary(StatusSchema, detailsBin ?? new Uint8Array());
  return details.map((any) => anyUnpack(any, registry)?.$typeName ?? any.typeUrl);
}

function statusOf(error: unknown): WireStatus {
  return toStatus(error, () => 'request-1');
}

function declared(init: Partial<DeclaredErrorInit>): DeclaredError {
  return new DeclaredError({ reason: 'SOME_REASON', code: Code.INTERNAL, message: 'Do this.', ...init });
}

/** What a caller makes of an error that went over the wire. */
function overTheWire(error: unknown): DeclaredError {
  return fromStatus(new StatusError(statusOf(error))) as DeclaredError;
}

describe('status', () => {
  it('gives callers back all that a declared error says', () => {
    const sent = declared({
      code: Code.UNAVAILABLE,
      metadata: { model: 'm' },
      retryAfterMs: 1500,
      violations: [{ field: 'a', description: 'b' }],
      domain: 'data.store',
    });
    const got = overTheWire(sent);
    for (const key of [
      'reason',
      'code',
      'message',
      'metadata',
      'retryAfterMs',
      'violations',
      'domain',
    ] as const) {
      assert.deepEqual(got[key], sent[key], key);
    }
    assert.deepEqual([...statusOf(sent).trailers], [['grpc-retry-pushback-ms', '1500']]);
  });

  const expected: readonly (readonly [
    keyof typeof Code,
    Readonly<Record<string, string>>,
    readonly string[],
  ])[] = [
    ['NOT_FOUND', { model: 'm' }, ['google.rpc.ErrorInfo', 'google.rpc.ResourceInfo']],
    ['NOT_FOUND', {}, ['google.rpc.ErrorInfo']],
    ['ALREADY_EXISTS', { model: 'm' }, ['google.rpc.ErrorInfo', 'google.rpc.ResourceInfo']],
    ['FAILED_PRECONDITION', {}, ['google.rpc.ErrorInfo', 'google.rpc.PreconditionFailure']],
    ['RESOURCE_EXHAUSTED', {}, ['google.rpc.ErrorInfo', 'google.rpc.QuotaFailure']],
    ['PERMISSION_DENIED', { user: 'u' }, ['google.rpc.ErrorInfo']],
  ];
  for (const [code, metadata, details] of expected) {
    it(`sends with ${code} the details that fit, for fields ${JSON.stringify(metadata)}`, () => {
      assert.deepEqual(types(statusOf(declared({ code: Code[code], metadata }))), details);
    });
  }

  it('stays below 8 KiB on the wire whatever a request put into the error', () => {
    for (const text of ['a'.repeat(1e5), '\ud83d\ude00\ud800'.repeat(1e5)]) {
      const metadata = Object.fromEntries(
        Array.from({ length: 500 }, (_, index) => [`${index}${text}`, text]),
      );
      const violations = Array.from({ length: 500 }, () => ({ field: text, description: text }));
      const sent = declared({ code: Code.NOT_FOUND, message: text, metadata, violations, retryAfterMs: 5 });
      const { message, detailsBin = new Uint8Array() } = statusOf(sent);
      const bytes = encodeURIComponent(message).length + Buffer.from(detailsBin).toString('base64').length;
      assert.ok(bytes < 8192, String(bytes));
      const got = overTheWire(sent);
      assert.deepEqual([got.reason, got.retryAfterMs, got.message], ['SOME_REASON', 5, message]);
    }
  });

  it('tells nothing of an undeclared error but the request id', () => {
    for (const error of [new Error('secret'), 'secret', undefined]) {
      const status = statusOf(error);
      assert.equal(status.code, Code.INTERNAL);
      assert.match(status.message, /request-1/);
      assert.doesNotMatch(status.message, /secret/);
      assert.deepEqual(types(status), ['google.rpc.RequestInfo']);
    }
  });

  it('passes the status of another process on byte for byte', () => {
    const parts = {
      code: Code.ABORTED,
      message: 'm',
      detailsBin: new Uint8Array([1, 2]),
      trailers: new Map([['a', 'b']]),
    };
    assert.deepEqual(statusOf(new StatusError(parts)), parts);
  });

  it('tells a cancelled call from one that ran out of time', () => {
    assert.equal(statusOf(AbortSignal.abort().reason).code, Code.CANCELLED);
    assert.equal(statusOf(new DOMException('late', 'TimeoutError')).code, Code.DEADLINE_EXCEEDED);
  });

  it('leaves an error as it is when it holds no reason that can be read', () => {
    const broken = new StatusError({ code: Code.ABORTED, message: 'm', detailsBin: new Uint8Array([255]) });
    const bare = new StatusError({ code: Code.ABORTED, message: 'm' });
    const other = new Error('other');
    for (const error of [broken, bare, other]) assert.equal(fromStatus(error), error);
    const internal = new StatusError(statusOf(other));
    assert.equal(fromStatus(internal), internal);
  });
});
