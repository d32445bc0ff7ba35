import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { needTool, runTool, toolCache } from '../../../e2e/tool.ts';
import type { KubernetesObject } from '../../../support/kubernetes/schemas.ts';
import { type Rendered, render, subject } from './deploy-subject.ts';

const HELM = 'helm.sh/helm/v4/cmd/helm@v4.3.1';

/** Path of helm, which is built on first use. */
async function helm(): Promise<string> {
  const folder = await toolCache('go-bin');
  await runTool('go', ['install', HELM], { env: { ...process.env, GOBIN: folder } });
  return path.join(folder, 'helm');
}

function byName(left: KubernetesObject, right: KubernetesObject): number {
  const key = ({ kind, metadata }: KubernetesObject): string => `${kind}/${metadata.name}`;
  return key(left) < key(right) ? -1 : 1;
}

describe('the chart of target helm', function () {
  this.timeout(600_000);
  let program: string;
  let folder: string;
  let files: Rendered[];

  before(async function () {
    program = await needTool(this, 'helm', helm);
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-chart-'));
    files = await render(subject(), { target: 'helm' });
    for (const { path: name, bytes } of files) {
      await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
      await writeFile(path.join(folder, name), bytes);
    }
  });

  after(async () => {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  const template = async (...options: string[]): Promise<KubernetesObject[]> => {
    const out = await runTool(program, ['template', 'digits', folder, '--namespace', 'prod', ...options]);
    return parseAllDocuments(out).map((document) => document.toJS() as KubernetesObject);
  };

  it('is one that helm lints without a warning', async () => {
    const out = await runTool(program, ['lint', '--strict', folder]);
    assert.match(out, /0 chart\(s\) failed/);
  });

  it('gives by its own values just what target kubernetes gives', async () => {
    const plain = await render(subject(), { target: 'kubernetes' });
    const wanted = plain.map(({ bytes }) => {
      const text = bytes.toString().replaceAll('managed-by: lamella', 'managed-by: Helm');
      return parse(text) as KubernetesObject;
    });
    assert.deepEqual((await template()).toSorted(byName), wanted.toSorted(byName));
  });

  it('takes image, scale, resources, configuration and namespace from elsewhere', async () => {
    const values = path.join(folder, 'other.yaml');
    const config = '{"a": "<b> & \\"c\\""}\n';
    await writeFile(
      values,
      JSON.stringify({
        image: 'example.org/other:2',
        scale: { minReplicas: 3, maxReplicas: 4, queueDepth: 5 },
        resources: { limits: { memory: '1Gi' } },
        config,
      }),
    );
    const text = JSON.stringify(await template('--values', values, '--namespace', 'test'));
    assert.match(text, /"image":"example\.org\/other:2"/);
    assert.match(text, /"minReplicas":3,"maxReplicas":4/);
    assert.match(text, /"averageValue":"5"/);
    assert.match(text, /"limits":\{[^}]*"memory":"1Gi"/);
    assert.ok(text.includes(JSON.stringify({ 'config.json': config }).slice(1, -1)));
    assert.ok(!text.includes('"namespace":"prod"'));
  });
});
