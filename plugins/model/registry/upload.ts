import type {
  CreateVersionHeader,
  CreateVersionRequest,
} from 'lamella/proto/lamella/model/v1/registry_service';
import { UploadMalformed } from './errors.ts';

/** A header and the chunks after it, still to be read. */
export interface Upload {
  readonly header: CreateVersionHeader;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Reads the header of an upload. @throws UPLOAD_MALFORMED if the first message holds none. */
export async function readUpload(requests: AsyncIterable<CreateVersionRequest>): Promise<Upload> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true || first.value.part.case !== 'header') {
    throw new UploadMalformed({ detail: 'The first message holds no header' });
  }
  return { header: first.value.part.value, chunks: readChunks(iterator) };
}

async function* readChunks(iterator: AsyncIterator<CreateVersionRequest>): AsyncGenerator<Uint8Array> {
  try {
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      if (next.value.part.case !== 'chunk') throw new UploadMalformed({ detail: 'A message holds no chunk' });
      yield next.value.part.value;
    }
  } finally {
    await iterator.return?.();
  }
}
