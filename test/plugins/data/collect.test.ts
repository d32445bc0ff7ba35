import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type CollectRequestSchema,
  type CollectResponse,
  CollectService,
} from 'lamella/proto/lamella/data/v1/collect_service';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { type Client, isDeclaredError } from 'lamella/sdk';
import { decodeArrow } from 'lamella/sdk/arrow';
import { createCollectService } from '../../../plugins/data/collect/service.ts';
import type { StoreConfig } from '../../../plugins/data/store/config.ts';
import storePlugin from '../../../plugins/data/store/plugin.ts';
import { clientOf, FakeHost } from '../../support/fake-host.ts';

type Request = MessageInitShape<typeof CollectRequestSchema>;

function reason(expected: string): (error: unknown) => boolean {
  return (error) => {
    assert.equal(isDeclaredError(error) ? error.reason : error, expected);
    return true;
  };
}

describe('collecting', () => {
  let directory: string;
  let storeHost: FakeHost<StoreConfig>;
  let store: Client<typeof StoreService>;
  let client: Client<typeof CollectService>;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'lamella-collect-'));
    storeHost = await new FakeHost<StoreConfig>({ config: { maxBatchBytes: 33_554_432 } }).start(storePlugin);
    store = storeHost.client(StoreService);
    const parts = { store, maxLineBytes: 1_024, packagesFrom: directory };
    client = clientOf(CollectService, createCollectService(parts));
  });
  afterEach(async () => {
    await storeHost.close();
    await rm(directory, { recursive: true, force: true });
  });

  async function file(name: string, content: string | Uint8Array): Promise<string> {
    const target = path.join(directory, name);
    await writeFile(target, content);
    return target;
  }

  async function collect(request: Request): Promise<CollectResponse> {
    let last: CollectResponse | undefined;
    for await (const answer of client.collect({ dataset: 'd', ...request })) last = answer;
    assert.ok(last);
    return last;
  }

  async function csv(content: string | Uint8Array, more: Request = {}): Promise<CollectResponse> {
    return collect({ source: { case: 'csv', value: { path: await file('a.csv', content) } }, ...more });
  }

  async function rows({ version }: CollectResponse): Promise<Record<string, unknown[]>> {
    const found: Record<string, unknown[]> = {};
    for await (const { arrowIpc } of store.readVersion({ name: version?.name ?? '' })) {
      for (const { columns } of decodeArrow(arrowIpc).batches) {
        for (const { name, values, valid } of columns) {
          const items = Array.from(values as Iterable<unknown>, (value, row) =>
            valid?.[row] === 0 ? null : value,
          );
          found[name] = [...(found[name] ?? []), ...items];
        }
      }
    }
    return found;
  }

  async function datasets(): Promise<number> {
    return (await store.listDatasets({})).datasets.length;
  }

  it('reads CSV, guesses types and keeps missing values missing', async () => {
    const answer = await csv('id,word,x,ok\n1,"a, b",0.5,true\n2,,7,false\n');
    assert.equal(answer.rowsRead, 2n);
    assert.deepEqual(await rows(answer), { id: [1n, 2n], word: ['a, b', null], x: [0.5, 7], ok: [1, 0] });
  });

  it('reads UTF-8 with a mark, UTF-16 and GBK alike', async () => {
    const text = '名,值\n数字,1\n';
    const gbk = Uint8Array.of(0xc3, 0xfb, 0x2c, 0xd6, 0xb5, 0x0a, 0xca, 0xfd, 0xd7, 0xd6, 0x2c, 0x31, 0x0a);
    const encoded = [Buffer.from(`\uFEFF${text}`, 'utf8'), Buffer.from(`\uFEFF${text}`, 'utf16le'), gbk];
    for (const bytes of encoded) assert.deepEqual(await rows(await csv(bytes)), { 名: ['数字'], 值: [1n] });
  });

  it('counts broken rows, shows them, and takes the others', async () => {
    const answer = await csv('id,x\n1,1\n2\n3,3,3\n4,4\n', { maxRejectedRows: 2n });
    assert.equal(answer.rowsRejected, 2n);
    assert.deepEqual(
      answer.samples.map(({ row, reason: why }) => [row, why]),
      [
        [1n, 'it has 1 fields instead of 2'],
        [2n, 'it has 3 fields instead of 2'],
      ],
    );
    assert.deepEqual((await rows(answer))['id'], [1n, 4n]);
  });

  it('stores nothing when more rows are broken than allowed', async () => {
    const broken = `id,x\n${'1\n'.repeat(20_000)}`;
    await assert.rejects(csv(broken, { maxRejectedRows: 1n }), reason('TOO_MANY_REJECTED_ROWS'));
    assert.equal(await datasets(), 0);
  });

  it('reads values by a given schema and rejects what does not fit', async () => {
    const schema = {
      fields: [
        { name: 't', type: DataType.TIMESTAMP },
        { name: 'n', type: DataType.UINT8 },
      ],
    };
    const value = { path: await file('a.csv', 't,n\n2026-01-01T00:00:00Z,255\nsoon,1\n1,256\n'), schema };
    const answer = await collect({ source: { case: 'csv', value }, maxRejectedRows: 5n });
    assert.deepEqual(await rows(answer), { t: [1_767_225_600_000_000n], n: [255] });
    assert.equal(answer.rowsRejected, 2n);
  });

  it('reads JSON lines, also nested ones, and rejects lines that are none', async () => {
    const text = '{"id":1,"tags":["a"]}\n\nnonsense\n[1]\n{"id":2}\n';
    const value = { path: await file('a.jsonl', text) };
    const answer = await collect({ source: { case: 'jsonLines', value }, maxRejectedRows: 2n });
    assert.deepEqual(await rows(answer), { id: [1n, 2n], tags: ['["a"]', null] });
  });

  it('reads an idx pair', async () => {
    const header = (magic: number, ...sizes: number[]): Buffer => {
      const bytes = Buffer.alloc(4 + sizes.length * 4);
      [magic, ...sizes].forEach((value, index) => bytes.writeUInt32BE(value, index * 4));
      return bytes;
    };
    const imagesPath = await file('i', Buffer.concat([header(0x803, 2, 1, 2), Buffer.of(1, 2, 3, 4)]));
    const labelsPath = await file('l', Buffer.concat([header(0x801, 2), Buffer.of(7, 8)]));
    const answer = await collect({
      source: { case: 'idx', value: { imagesPath, labelsPath } },
      batchRows: 1,
    });
    assert.deepEqual(await rows(answer), { id: [0, 1], image: [1, 2, 3, 4], label: [7, 8] });
    const cut = await file('c', Buffer.concat([header(0x803, 2, 1, 2), Buffer.of(1)]));
    const request: Request = { source: { case: 'idx', value: { imagesPath: cut, labelsPath } } };
    await assert.rejects(collect(request), reason('SOURCE_UNREADABLE'));
  });

  it('reads the digits of the npm package, balanced and in the same order every time', async () => {
    const request: Request = { source: { case: 'npmDigits', value: {} } };
    const answer = await collect(request);
    assert.equal(answer.rowsRead, 10_000n);
    const { id, label, image } = await rows(answer);
    assert.deepEqual(id?.slice(-1), [9_999]);
    assert.deepEqual(label?.slice(0, 11), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
    assert.equal(image?.length, 7_840_000);
    assert.equal((await collect(request)).version?.name, answer.version?.name);
  }).timeout(30_000);

  it('takes no more rows than the limit', async () => {
    assert.deepEqual(await rows(await csv('id\n1\n2\n3\n', { limit: 2n })), { id: [1n, 2n] });
  });

  it('says in one sentence why a source cannot be read, and stores nothing', async () => {
    const at = (target: string): Request => ({ source: { case: 'csv', value: { path: target } } });
    await assert.rejects(collect(at(path.join(directory, 'none.csv'))), reason('SOURCE_UNREADABLE'));
    await assert.rejects(collect(at(directory)), /EISDIR/);
    await assert.rejects(csv(`id\n${'x'.repeat(5_000)}\n`), reason('SOURCE_UNREADABLE'));
    await assert.rejects(csv('id\n'), reason('COLLECT_INVALID'));
    await assert.rejects(collect({}), reason('COLLECT_INVALID'));
    await assert.rejects(collect({ source: { case: 'hdfs', value: {} } }), reason('SOURCE_UNSUPPORTED'));
    assert.equal(await datasets(), 0);
  });
});
