import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/** A file of the page, held in memory. */
export interface StaticFile {
  readonly body: string;
  readonly type: string;
  readonly etag: string;
}

/** Files by request path, for example `/console/page/app.js`. */
export type StaticFiles = ReadonlyMap<string, StaticFile>;

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Scripts and styles come from this server only, so text that slips into the page can run nothing. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Where the files lie below `/`: rules of access speak of them by this. */
const FOLDER = '/console/page/';

/** Reads every file of a known type, so that no request ever becomes a path on the disk. */
export async function readStaticFiles(directory: string): Promise<StaticFiles> {
  const files = new Map<string, StaticFile>();
  for (const name of await readdir(directory)) {
    const type = TYPES[path.extname(name)];
    if (type === undefined) continue;
    const body = await readFile(path.join(directory, name), 'utf8');
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    files.set(name === 'index.html' ? '/' : `${FOLDER}${name}`, { body, type, etag });
  }
  return files;
}

/** Answers with a file, or with 304 when the browser has this very text. */
export function staticResponse(file: StaticFile, request: Request): Response {
  const headers = {
    'content-type': file.type,
    // Asked again each time, answered with 304: an upgraded plugin shows at the next load.
    'cache-control': 'no-cache',
    etag: file.etag,
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  };
  const known = (request.headers.get('if-none-match') ?? '').split(',').map((tag) => tag.trim());
  if (known.includes(file.etag) || known.includes(`W/${file.etag}`)) {
    return new Response(undefined, { status: 304, headers });
  }
  return new Response(request.method === 'HEAD' ? undefined : file.body, { headers });
}
