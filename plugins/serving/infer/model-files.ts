/** One file of a model. */
export interface ModelFile {
  /** Changes when the content does. */
  readonly fingerprint: string;
  /** Reads it. @throws MODEL_LOAD_FAILED */
  readonly read: () => Promise<Uint8Array>;
}

/** The files of one model, wherever they are kept: configuration, versions, and files that all versions share. */
export interface ModelFiles {
  /** Text of its `config.pbtxt`; `undefined` when there is none. */
  readonly configText: string | undefined;
  /** Changes when a file that all versions share does. */
  readonly sharedFingerprint: string;
  /** Numbers of its versions, ascending. */
  readonly versions: readonly number[];
  /** File of a version. @throws MODEL_LOAD_FAILED */
  readonly versionFile: (version: number, fileName: string) => Promise<ModelFile>;
  /** A file beside the versions, for example labels. @throws MODEL_LOAD_FAILED */
  readonly sharedFile: (path: string) => Promise<Uint8Array>;
}
