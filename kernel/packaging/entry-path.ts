import { PACKAGE_LIMITS } from './limits.ts';

/** Characters that some file system cannot hold or some shell would act on; U+FFFD stands for bytes that are no UTF-8. */
const FORBIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\u{FFFD}\\:<>"|?*]/u;

/** Names that Windows keeps for devices, also with an ending. */
const RESERVED = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

/**
 * Says what is wrong with the path of a file in a package; `undefined` when it is safe on every system.
 *
 * @remarks A path that passes stays below the folder it is put into: it is relative, has no `.` or `..`, no drive and
 * no backslash.
 */
export function pathProblem(path: string): string | undefined {
  if (path === '') return 'it is empty';
  if (Buffer.byteLength(path) > PACKAGE_LIMITS.pathBytes)
    return `it is longer than ${PACKAGE_LIMITS.pathBytes} bytes`;
  if (FORBIDDEN.test(path)) {
    return 'it holds a character that is no UTF-8 or that not every file system can hold';
  }
  if (path.normalize('NFC') !== path) return 'its accents are not composed (Unicode NFC)';
  if (path.startsWith('/')) return 'it is absolute';
  const parts = path.split('/');
  if (parts.length > PACKAGE_LIMITS.depth) return `it is more than ${PACKAGE_LIMITS.depth} folders deep`;
  return parts.map(partProblem).find((problem) => problem !== undefined);
}

function partProblem(part: string): string | undefined {
  if (part === '..') return "it leads outside with '..'";
  if (part === '' || part === '.') return 'a folder in it has no name';
  if (/^ | $|\.$/.test(part)) return 'a name in it begins or ends with a space or ends with a dot';
  if (RESERVED.test(part)) return `'${part}' is the name of a device on Windows`;
  return undefined;
}

/** Paths of one package; finds those that would be one file on a system that ignores case, and files used as folders. */
export class PathSet {
  /** Each file and folder, in lower case, as it was first spelled. */
  readonly #spellings: Map<string, { spelling: string; isFile: boolean }> = new Map();

  /** Adds a file. @returns what is wrong with it, `undefined` if nothing is. */
  add(path: string): string | undefined {
    const parts = path.split('/');
    for (let count = 1; count <= parts.length; count += 1) {
      const spelling = parts.slice(0, count).join('/');
      const problem = this.#addOne(spelling, count === parts.length);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  #addOne(spelling: string, isFile: boolean): string | undefined {
    const key = spelling.toLowerCase().toUpperCase();
    const known = this.#spellings.get(key);
    if (known === undefined) {
      this.#spellings.set(key, { spelling, isFile });
      return undefined;
    }
    if (known.spelling !== spelling) return `it differs from '${known.spelling}' in case only`;
    if (isFile && known.isFile) return 'it is there twice';
    return isFile || known.isFile ? `'${spelling}' is a file and a folder` : undefined;
  }
}
