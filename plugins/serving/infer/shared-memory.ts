import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import path from 'node:path';
import { MethodUnsupported, RequestInvalid } from './errors.ts';

/** A part of a shared memory object that a client has named. */
export interface SharedRegion {
  /** Name of the region. */
  readonly name: string;
  /** Key of the object, as `shm_open` takes it. */
  readonly key: string;
  /** Start within the object, in bytes. */
  readonly offset: bigint;
  /** Size in bytes. */
  readonly byteSize: bigint;
}

/** A part of a region that a tensor is in, or goes to. */
export interface SharedPlace {
  readonly region: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

interface OpenRegion extends SharedRegion {
  readonly descriptor: number;
}

/** Where Linux shows shared memory objects as files. */
const DIRECTORY = '/dev/shm';
const KEY = /^\/?[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$/;
const MOST_REGIONS = 1_000;
const MAX_TENSOR_BYTES = 256 * 1_024 * 1_024;

/**
 * Regions of shared memory that clients on this machine have registered.
 *
 * @remarks They are read and written as files: that copies once, and where a client makes its object smaller, a request fails
 * and not the process.
 */
export class SharedMemory {
  /** True where tensors may be in shared memory. */
  readonly isAllowed: boolean;
  readonly #regions: Map<string, OpenRegion> = new Map();

  constructor(isAllowed: boolean) {
    this.isAllowed = isAllowed && process.platform === 'linux';
  }

  /** Registers a region. @throws METHOD_UNSUPPORTED where it is not allowed; REQUEST_INVALID */
  register(region: SharedRegion): void {
    this.#requireAllowed();
    const { name, key, offset, byteSize } = region;
    const fail = (problem: string): Error =>
      new RequestInvalid({
        problem: `failed to register shared memory region '${name.slice(0, 100)}': ${problem}`,
      });
    if (name === '' || name.length > 255) throw fail('its name must have 1 to 255 characters');
    if (this.#regions.has(name)) throw fail('it is registered already; unregister it first');
    if (this.#regions.size >= MOST_REGIONS) throw fail(`there are ${MOST_REGIONS} already`);
    if (!KEY.test(key)) throw fail('its key is no name of a shared memory object');
    const descriptor = openObject(key, fail);
    if (BigInt(fstatSync(descriptor).size) < offset + byteSize || byteSize === 0n) {
      closeSync(descriptor);
      throw fail('the object is smaller than that');
    }
    this.#regions.set(name, { name, key, offset, byteSize, descriptor });
  }

  /** Forgets a region, or all for an empty name. @throws METHOD_UNSUPPORTED */
  unregister(name: string): void {
    this.#requireAllowed();
    for (const region of this.#named(name)) {
      this.#regions.delete(region.name);
      closeSync(region.descriptor);
    }
  }

  /** One region, or all for an empty name. @throws METHOD_UNSUPPORTED REQUEST_INVALID */
  status(name: string): readonly SharedRegion[] {
    this.#requireAllowed();
    return this.#named(name);
  }

  /** Reads the bytes of a tensor. @throws METHOD_UNSUPPORTED REQUEST_INVALID */
  read(place: SharedPlace): Uint8Array {
    const { descriptor, position } = this.#find(place);
    if (place.sizeBytes > MAX_TENSOR_BYTES) {
      throw new RequestInvalid({
        problem: `a tensor in shared memory may have ${MAX_TENSOR_BYTES} bytes at the most`,
      });
    }
    const bytes = Buffer.alloc(place.sizeBytes);
    if (readSync(descriptor, bytes, 0, bytes.byteLength, position) === bytes.byteLength) return bytes;
    throw new RequestInvalid({ problem: `shared memory region '${place.region}' has become smaller` });
  }

  /** Checks that a tensor can be there. @throws METHOD_UNSUPPORTED REQUEST_INVALID */
  check(place: SharedPlace): void {
    this.#find(place);
  }

  /** Writes the bytes of a tensor. @throws METHOD_UNSUPPORTED REQUEST_INVALID */
  write(place: SharedPlace, bytes: Uint8Array): void {
    const { descriptor, position } = this.#find(place);
    if (bytes.byteLength > place.sizeBytes) {
      throw new RequestInvalid({
        problem: `shared memory size specified with the request (${place.sizeBytes} bytes) should be at least ${bytes.byteLength} bytes`,
      });
    }
    // A file would grow again, which nobody wants of an object that its owner has made smaller.
    const isThere = fstatSync(descriptor).size >= position + bytes.byteLength;
    if (isThere && writeSync(descriptor, bytes, 0, bytes.byteLength, position) === bytes.byteLength) return;
    throw new RequestInvalid({ problem: `shared memory region '${place.region}' has become smaller` });
  }

  /** Forgets all. */
  close(): void {
    for (const { descriptor } of this.#regions.values()) closeSync(descriptor);
    this.#regions.clear();
  }

  #named(name: string): readonly OpenRegion[] {
    if (name === '') return [...this.#regions.values()];
    const region = this.#regions.get(name);
    if (region !== undefined) return [region];
    throw unknownRegion(name);
  }

  #find({ region: name, offset, sizeBytes }: SharedPlace): { descriptor: number; position: number } {
    this.#requireAllowed();
    const region = this.#regions.get(name);
    if (region === undefined) throw unknownRegion(name);
    if (BigInt(offset) + BigInt(sizeBytes) > region.byteSize) {
      throw new RequestInvalid({ problem: `a tensor lies beyond the end of shared memory region '${name}'` });
    }
    return { descriptor: region.descriptor, position: Number(region.offset) + offset };
  }

  #requireAllowed(): void {
    if (this.isAllowed) return;
    const advice = 'send tensors in the request, or set allowSharedMemory of serving.infer on Linux';
    throw new MethodUnsupported({ method: 'System shared memory', advice });
  }
}

function openObject(key: string, fail: (problem: string) => Error): number {
  const flags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  let descriptor: number;
  try {
    descriptor = openSync(path.join(DIRECTORY, key), flags);
  } catch {
    throw fail(`there is no shared memory object '${key}' that may be opened`);
  }
  if (fstatSync(descriptor).isFile()) return descriptor;
  closeSync(descriptor);
  throw fail(`'${key}' is no shared memory object`);
}

function unknownRegion(name: string): Error {
  return new RequestInvalid({
    problem: `Unable to find shared memory region: '${name.slice(0, 100)}'; register it first`,
  });
}

/** There is no CUDA shared memory. @throws METHOD_UNSUPPORTED */
export function refuseCudaRegion(): never {
  const advice = 'send tensors in the request, or use system shared memory';
  throw new MethodUnsupported({ method: 'CudaSharedMemoryRegister', advice });
}

/** All CUDA regions are none; one of them is unknown. @throws REQUEST_INVALID */
export function requireNoRegion(name: string): void {
  if (name !== '') throw unknownRegion(name);
}

/**
 * Reads where a tensor is: the parameters `shared_memory_region`, `_offset` and `_byte_size`; `undefined` without a region.
 *
 * @throws REQUEST_INVALID
 */
export function readSharedPlace(
  parameters: Readonly<Record<string, { readonly parameterChoice: { readonly value?: unknown } }>>,
  tensor: string,
): SharedPlace | undefined {
  const region = parameters['shared_memory_region']?.parameterChoice.value;
  if (region === undefined) return undefined;
  const offset = parameters['shared_memory_offset']?.parameterChoice.value ?? 0n;
  const size = parameters['shared_memory_byte_size']?.parameterChoice.value;
  const isSize = (value: unknown): value is bigint =>
    typeof value === 'bigint' && value >= 0n && value <= Number.MAX_SAFE_INTEGER;
  if (typeof region === 'string' && isSize(offset) && isSize(size)) {
    return { region, offset: Number(offset), sizeBytes: Number(size) };
  }
  throw new RequestInvalid({
    problem: `'${tensor}' needs a text as shared_memory_region, and whole numbers as shared_memory_byte_size and _offset`,
  });
}

/** Reads a region to register from JSON. @throws REQUEST_INVALID */
export function readRegion(name: string, body: Readonly<Record<string, unknown>>): SharedRegion {
  const { key, offset = 0, byte_size: byteSize } = body;
  const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
  if (typeof key === 'string' && isSize(offset) && isSize(byteSize)) {
    return { name, key, offset: BigInt(offset), byteSize: BigInt(byteSize) };
  }
  const problem = "a region needs a text as 'key', and whole numbers as 'byte_size' and 'offset'";
  throw new RequestInvalid({ problem });
}

/** The same for parameters in JSON. @throws REQUEST_INVALID */
export function readJsonPlace(
  parameters: Readonly<Record<string, unknown>>,
  tensor: string,
): SharedPlace | undefined {
  if (parameters['shared_memory_region'] === undefined) return undefined;
  const asMessages = Object.entries(parameters).map(([name, value]) => [
    name,
    { parameterChoice: { value: Number.isSafeInteger(value) ? BigInt(value as number) : value } },
  ]);
  return readSharedPlace(Object.fromEntries(asMessages) as Parameters<typeof readSharedPlace>[0], tensor);
}
