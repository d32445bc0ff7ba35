import assert from 'node:assert/strict';
import { mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { filesProblem } from '../../../kernel/loader/program-files.ts';
import { LinkClient } from '../../../kernel/link/link-client.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { ROOT } from '../../support/echo-plugin.ts';
import { runLamella } from '../../support/run-lamella.ts';
import { makeTextPlugin, type TextPlugin } from '../../support/text-plugin.ts';

const ID = 'example.shout';

/** Tries `read PATH`, `write PATH` or `list PATH` and answers with what came of it, in 100 bytes. */
const TRY = `
const attempt = (command) => {
  const [verb, place] = command.split(' ');
  try {
    if (verb === 'write') fs.writeFileSync(place, 'by the program');
    return verb === 'list' ? fs.readdirSync(place).join() : verb === 'read' ? fs.readFileSync(place, 'utf8') : 'written';
  } catch ({ code }) { return code; }
};
const shout = (request) => {
  const text = Buffer.from(attempt(request.subarray(2).toString())).subarray(0, 100);`;

describe('the files of a program', function () {
  this.timeout(60_000);
  let plugin: TextPlugin;
  let kernel: TestKernel | undefined;
  let link: LinkClient | undefined;
  let folder: string;
  let file: string;

  before(async function () {
    const problem = await filesProblem();
    if (problem === '') return;
    process.emitWarning(`left out, for this machine cannot hold programs to files: ${problem}`);
    this.skip();
  });

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-granted-'));
    file = path.join(folder, 'note.txt');
    await writeFile(file, 'hello');
    plugin = await makeTextPlugin();
    const program = await plugin.read('program.cjs');
    const [start = '', , end = ''] = program.split(/(const shout = [^]*?toUpperCase\(\)\);)/);
    await plugin.put('program.cjs', `${start}${TRY}${end}`);
  });

  afterEach(async () => {
    await link?.close();
    await kernel?.stop();
    [link, kernel] = [undefined, undefined];
    await plugin.remove();
    await rm(folder, { recursive: true, force: true });
  });

  /** What Node and the program's package need: both may lie outside of what the system has for everybody. */
  async function needed(): Promise<{ path: string; write?: boolean }[]> {
    const packages = path.join(ROOT, 'node_modules');
    const places = [path.resolve(process.execPath, '../..'), packages, await realpath(packages)];
    return [...new Set(places)].map((place) => ({ path: place }));
  }

  async function start(config: object): Promise<void> {
    kernel = await startTestKernel({ plugins: [plugin.directory], config: { ...config } });
    const [host = '', port = ''] = kernel.addresses.grpc.split(':');
    link = await LinkClient.connect({ host, port: Number(port) });
  }

  const holding = (files: readonly object[]): object => ({ plugins: { [ID]: { capabilities: { files } } } });

  async function attempt(command: string): Promise<string> {
    const text = Buffer.from(command);
    const request = Buffer.concat([Buffer.from([10, text.length]), text]);
    assert.ok(link !== undefined && text.length < 128);
    const { message } = await link.unary('/text.v1.ShoutService/Shout', request, {});
    return Buffer.from(message).subarray(2).toString();
  }

  async function heldBy(): Promise<string | undefined> {
    const { out } = await runLamella(['plugin', 'capabilities', ID, '--json', '--home', kernel?.home ?? '']);
    const { rights } = JSON.parse(out) as { rights: { capability: string; heldBy: string }[] };
    return rights.find(({ capability }) => capability === 'files')?.heldBy;
  }

  it('are its own and the granted ones once the operator names them; nothing else is there', async () => {
    await start(holding([...(await needed()), { path: folder }]));
    assert.equal(await attempt(`read ${file}`), 'hello');
    assert.equal(await attempt(`write ${file}`), 'EROFS');
    assert.equal(await attempt('list /home'), 'ENOENT');
    assert.equal(await attempt(`read ${kernel?.home}/config.json`), 'ENOENT');
    assert.equal(await attempt('read /etc/shadow'), 'ENOENT');
    assert.equal(await attempt(`read /proc/${process.pid}/root/etc/shadow`), 'EACCES');
    assert.equal(await attempt(`write ${plugin.directory}/program.cjs`), 'EROFS');
    assert.equal(await attempt(`write ${kernel?.home}/plugins/${ID}/kept`), 'written');
    const scratch = `/tmp/${path.basename(folder)}-scratch`;
    assert.equal(await attempt(`write ${scratch}`), 'written');
    assert.equal(await readFile(`${kernel?.home}/plugins/${ID}/kept`, 'utf8'), 'by the program');
    await assert.rejects(readFile(scratch), { code: 'ENOENT' });
    assert.equal(await heldBy(), 'its own view of the file system (mount namespace)');
  });

  it('can be written where that is granted', async () => {
    await start(holding([...(await needed()), { path: folder, write: true }]));
    assert.equal(await attempt(`write ${file}`), 'written');
    assert.equal(await readFile(file, 'utf8'), 'by the program');
  });

  it('are what the system allows when the operator names none, and it is said so', async () => {
    await start({});
    assert.equal(await attempt(`write ${file}`), 'written');
    assert.equal(await heldBy(), "nothing but the system's own rules");
  });

  it('are those of its manifest where nothing runs unsigned', async () => {
    const files = [...(await needed()), { path: folder }];
    await plugin.setManifest({ capabilities: { files } });
    await start({ trust: { mode: 'strict', ids: [ID] } });
    assert.equal(await attempt(`read ${file}`), 'hello');
    assert.equal(await attempt(`write ${file}`), 'EROFS');
  });

  it('can be read everywhere, and written nowhere else than in its own, where that is granted', async () => {
    await start(holding([{ path: '/' }]));
    assert.equal(await attempt(`read ${file}`), 'hello');
    assert.equal(await attempt(`write ${file}`), 'EROFS');
    assert.equal(await attempt(`write ${kernel?.home}/plugins/${ID}/kept`), 'written');
  });

  it('are all of them for a program that the operator grants the whole file system', async () => {
    await start({ trust: { mode: 'strict', ids: [ID] }, ...holding([{ path: '/', write: true }]) });
    assert.equal(await attempt(`write ${file}`), 'written');
    assert.equal(await heldBy(), "nothing but the system's own rules");
  });
});
