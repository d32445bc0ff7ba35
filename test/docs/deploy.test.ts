import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { create, fromJson, type JsonValue } from '@bufbuild/protobuf';
import {
  DeploymentSpecSchema,
  type DeployTarget,
  ListTargetsRequestSchema,
} from 'lamella/proto/lamella/serving/v1/deploy_service';
import { parse } from 'yaml';
import { readSpec } from '../../plugins/serving/deploy/spec.ts';
import { subject } from '../plugins/serving/deploy/deploy-subject.ts';
import { ROOT } from '../support/echo-plugin.ts';
import { fakeContext } from '../support/fake-host.ts';
import { runLamella } from '../support/run-lamella.ts';

const COMMAND = /^lamella deploy ([^\n]+?)(?: {2,}.*)?$/gm;
const YAML_BLOCK = /^```yaml\n([\s\S]*?)^```$/gm;
const OPTION = /--option ([a-z][A-Za-z]*)=/g;

describe('docs/deploy.md', function () {
  this.timeout(60_000);
  let page: string;

  before(async () => {
    page = await readFile(path.join(ROOT, 'docs/deploy.md'), 'utf8');
  });

  it('has only commands, options and targets that there are', async () => {
    const { out: help } = await runLamella(['deploy', '--help']);
    const commands = [...page.matchAll(COMMAND)].map(([, words = '']) => words.split(/\s+/));
    assert.ok(commands.length >= 8, String(commands.length));
    for (const words of commands) {
      for (const word of words.filter((each) => each.startsWith('--'))) assert.ok(help.includes(word), word);
      const target = words[words.indexOf('--target') + 1] ?? '';
      if (words.includes('--target')) assert.ok(help.includes(`"${target}"`), target);
    }
  });

  it('names only options of targets that there are', async () => {
    const request = create(ListTargetsRequestSchema);
    const { targets = [] } = await subject().listTargets(request, fakeContext());
    const known = new Set(
      targets.flatMap(({ optionsSchema }: Partial<Pick<DeployTarget, 'optionsSchema'>>) =>
        Object.keys((optionsSchema?.['properties'] as object | undefined) ?? {}),
      ),
    );
    const named = [...page.matchAll(OPTION)].map(([, option = '']) => option);
    assert.ok(named.length > 5);
    assert.deepEqual(
      named.filter((option) => !known.has(option)),
      [],
    );
  });

  it('has specs that are taken', () => {
    const specs = [...page.matchAll(YAML_BLOCK)].map(([, text = '']) => parse(text) as JsonValue);
    assert.ok(specs.length > 0);
    for (const spec of specs) readSpec(fromJson(DeploymentSpecSchema, spec), 'digits');
  });
});
