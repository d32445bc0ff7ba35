import path from 'node:path';
import type { ErrorObject } from 'ajv';
import { Code, type ErrorType } from '../sdk/index.ts';
import { defineKernelError } from './kernel-error.ts';
import type { TlsConfig } from './access/access-config.ts';
import { checkKernelConfig } from './config-check.ts';
import type { KernelConfig } from './config-schema.ts';
import { readLimitedFile } from './registry/limited-file.ts';
import { nearestName } from './registry/nearest-name.ts';

/** The configuration file in the home folder cannot be used. */
export const ConfigInvalid: ErrorType<'file' | 'problem'> = defineKernelError({
  reason: 'CONFIG_INVALID',
  code: Code.FAILED_PRECONDITION,
  message: ({ file, problem }) => `${file} ${problem}; correct the file and start again.`,
});

/** Largest `config.json`, in bytes; settings of a thousand plugins are smaller. */
const SIZE_LIMIT_BYTES = 4 * 1024 * 1024;

/** Problems named in one message. */
const MAX_PROBLEMS = 5;

/** Files for TLS from elsewhere, which go before those of the configuration. */
export type TlsFiles = Partial<Pick<TlsConfig, 'cert' | 'key' | 'clientCa'>>;

/**
 * Reads `config.json` of a home folder; a missing file means defaults.
 *
 * @throws CONFIG_INVALID names the option and what it should be.
 */
export async function readConfig(home: string, tls: TlsFiles = {}): Promise<KernelConfig> {
  const file = path.join(home, 'config.json');
  const config = withTls(parse(await readText(file), file), tls);
  if (!checkKernelConfig(config)) {
    throw new ConfigInvalid({ file, problem: `is not valid: ${problemsOf(checkKernelConfig.errors ?? [])}` });
  }
  return config as KernelConfig;
}

/** What is wrong, each option once, and not more than a person reads. */
function problemsOf(errors: readonly ErrorObject[]): string {
  const phrases = [...new Set(errors.map(phraseOf))];
  const more = phrases.length - MAX_PROBLEMS;
  return [...phrases.slice(0, MAX_PROBLEMS), ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

function phraseOf({ instancePath, keyword, message = '', params, parentSchema }: ErrorObject): string {
  const where = instancePath.slice(1).replaceAll('/', '.').slice(0, 100);
  if (keyword !== 'additionalProperties') return `'${where}' ${message}`;
  const key = String((params as { additionalProperty: unknown }).additionalProperty);
  const known = Object.keys((parentSchema as { properties?: object } | undefined)?.properties ?? {});
  const nearest = nearestName(key, known);
  const place = where === '' ? '' : ` in '${where}'`;
  const hint = nearest === undefined ? `; there are ${known.join(', ')}` : `; did you mean '${nearest}'?`;
  return `'${key.slice(0, 60)}'${place} is not an option${hint}`;
}

function withTls(config: unknown, tls: TlsFiles): unknown {
  if (Object.keys(tls).length === 0 || typeof config !== 'object' || config === null) return config;
  const { tls: own } = config as { readonly tls?: object };
  return { ...config, tls: { ...own, ...tls } };
}

async function readText(file: string): Promise<string> {
  try {
    const text = await readLimitedFile(file, SIZE_LIMIT_BYTES);
    if (Buffer.byteLength(text) <= SIZE_LIMIT_BYTES) return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '{}';
    throw new ConfigInvalid(
      { file, problem: `cannot be read (${(error as Error).message})` },
      { cause: error },
    );
  }
  throw new ConfigInvalid({ file, problem: `is longer than ${SIZE_LIMIT_BYTES} bytes` });
}

function parse(text: string, file: string): unknown {
  try {
    // Some editors put a byte order mark in front.
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw new ConfigInvalid({ file, problem: `is not JSON (${(cause as Error).message})` }, { cause });
  }
}

/** The environment of this process; plugins get chosen variables of it, never all. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  return process.env;
}
