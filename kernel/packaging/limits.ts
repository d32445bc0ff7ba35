/** Bounds of a plugin package: far above what plugins need, far below what harms a machine. */
export const PACKAGE_LIMITS = {
  /** Size of an archive file, in bytes. */
  archiveBytes: 1_073_741_824,
  /** Size of all files together, in bytes; a plugin that carries a model needs some hundred MiB. */
  totalBytes: 2_147_483_648,
  files: 10_000,
  /** Unpacked bytes for each packed one; text reaches 20, a bomb 1000. */
  ratio: 200,
  /** Unpacked bytes up to which the ratio is not looked at: short runs of zeros are no bomb. */
  ratioFreeBytes: 16_777_216,
  /** Path within the package, in bytes of UTF-8; with the folder in front it stays below 260 characters. */
  pathBytes: 180,
  depth: 16,
  /** Size of `digests.json`, in bytes: room for all files with long names. */
  digestsBytes: 4_194_304,
  signatureBytes: 4_096,
} as const;
