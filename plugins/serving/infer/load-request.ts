import { ModelPollFailed, RequestInvalid } from './errors.ts';

/** What a load asks for. */
export interface LoadRequest {
  /** Version in the model registry: a number, an alias or `latest`; `undefined` when the caller names none. */
  readonly version?: string | undefined;
  /** Configuration in JSON that is used instead of the one that is kept. */
  readonly config?: string | undefined;
  /** Files that are used instead of those that are kept, by `VERSION/NAME`. */
  readonly files?: ReadonlyMap<string, Uint8Array> | undefined;
}

const LONGEST_NAME_BYTES = 255;
const VERSION = /^[a-z0-9_-]{1,63}$/;
const FILE = /^file:([1-9][0-9]{0,14}\/[A-Za-z0-9_][A-Za-z0-9._-]{0,126})$/;

/**
 * Reads the parameters of a load, as gRPC or JSON gives them.
 *
 * @param parameters - Values by name; a file is bytes, or text in base64.
 * @throws REQUEST_INVALID MODEL_POLL_FAILED
 */
export function readLoadParameters(parameters: Readonly<Record<string, unknown>>): LoadRequest {
  const files = new Map<string, Uint8Array>();
  for (const [name, value] of Object.entries(parameters)) {
    if (name === 'version' || name === 'config') continue;
    requireShortNames(name);
    const file = FILE.exec(name)?.[1];
    if (file === undefined) {
      throw invalid(
        `load parameter '${name.slice(0, 100)}' is not supported; there are 'version' (of the model registry), ` +
          "'config' (JSON), and 'file:VERSION/NAME'",
      );
    }
    files.set(file, fileContent(name, value));
  }
  const config = configOf(parameters['config']);
  if (files.size > 0 && config === undefined) {
    throw invalid(
      "load parameter 'config' must be given with the files, since they replace the model's folder",
    );
  }
  return { version: versionOf(parameters['version']), config, ...(files.size > 0 && { files }) };
}

/** No folder takes a longer name. @throws MODEL_POLL_FAILED */
function requireShortNames(parameter: string): void {
  if (!parameter.startsWith('file:')) return;
  const parts = parameter.slice('file:'.length).split('/');
  if (parts.every((part) => Buffer.byteLength(part) <= LONGEST_NAME_BYTES)) return;
  const problem = `a file of a load has a name of more than ${LONGEST_NAME_BYTES} bytes; name it 'file:VERSION/NAME'`;
  throw new ModelPollFailed({ problem });
}

/** The parameter `unload_dependents`. @throws REQUEST_INVALID for other parameters and kinds */
export function readUnloadParameters(parameters: Readonly<Record<string, unknown>>): boolean {
  const other = Object.keys(parameters).find((name) => name !== 'unload_dependents');
  const value = parameters['unload_dependents'] ?? false;
  if (other === undefined && typeof value === 'boolean') return value;
  throw invalid("the only unload parameter is 'unload_dependents', true or false");
}

function configOf(value: unknown): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  throw invalid("load parameter 'config' must be text");
}

function versionOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const isPlain = typeof value === 'string' || typeof value === 'bigint' || typeof value === 'number';
  const version = isPlain ? String(value) : '';
  if (VERSION.test(version)) return version;
  throw invalid("load parameter 'version' must be a number, an alias or 'latest'");
}

function fileContent(name: string, value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') {
    const bytes = Buffer.from(value, 'base64');
    // Buffer passes over what is no base64.
    if (Math.abs(bytes.byteLength * 4 - value.replace(/[=\s]+/g, '').length * 3) < 4) return bytes;
  }
  throw invalid(`load parameter '${name}' must be bytes, over REST in base64`);
}

function invalid(problem: string): Error {
  return new RequestInvalid({ problem });
}
