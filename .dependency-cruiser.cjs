'use strict';

/** One named rule a sentence; everything that is not forbidden here is allowed. */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Modules do not import each other in a circle.',
      severity: 'error',
      from: { pathNot: '^(node_modules|proto/gen)/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'resolvable',
      comment: 'Every import leads somewhere.',
      severity: 'error',
      from: { pathNot: '^node_modules/' },
      to: { couldNotResolve: true },
    },
    {
      name: 'generated-code-stands-alone',
      comment: 'proto/gen imports nothing but itself and the protobuf runtime.',
      severity: 'error',
      from: { path: '^proto/gen/' },
      to: { pathNot: '^(proto/gen/|node_modules/@bufbuild/protobuf/)' },
    },
    {
      name: 'sdk-knows-only-proto',
      comment: 'sdk imports proto/gen and npm; sdk/testing may also start a kernel.',
      severity: 'error',
      from: { path: '^sdk/', pathNot: '^sdk/(testing|templates)/' },
      to: { path: '^(kernel|plugins|test|benchmarks|scripts|examples)/' },
    },
    {
      name: 'sdk-testing-knows-only-kernel',
      comment: 'sdk/testing imports sdk, kernel and proto/gen.',
      severity: 'error',
      from: { path: '^sdk/testing/' },
      to: { path: '^(plugins|test|benchmarks|scripts|examples)/' },
    },
    {
      name: 'kernel-knows-only-sdk-and-proto',
      comment: 'kernel imports sdk and proto/gen; only its command line knows the examples.',
      severity: 'error',
      from: { path: '^kernel/', pathNot: '^kernel/cli/' },
      to: { path: '^(plugins|test|benchmarks|scripts|examples)/' },
    },
    {
      name: 'command-line-knows-no-plugin',
      comment: 'kernel/cli reaches plugins through their services.',
      severity: 'error',
      from: { path: '^kernel/cli/' },
      to: { path: '^(plugins|test|benchmarks|scripts)/' },
    },
    {
      name: 'nobody-imports-a-plugin',
      comment: 'Plugins meet through services; tests and benchmarks may look inside.',
      severity: 'error',
      from: { pathNot: '^(plugins|test|benchmarks|node_modules)/' },
      to: { path: '^plugins/' },
    },
    {
      name: 'no-sibling-plugin',
      comment: 'A plugin does not import another plugin.',
      severity: 'error',
      from: { path: '^plugins/([^/]+/[^/]+)/' },
      to: { path: '^plugins/', pathNot: '^plugins/$1/' },
    },
    {
      name: 'plugin-uses-the-public-sdk',
      comment: 'A plugin imports lamella/sdk (onnx, ort, arrow) and lamella/proto, nothing deeper.',
      severity: 'error',
      from: { path: '^plugins/' },
      to: {
        path: '^(sdk|kernel|test|benchmarks|scripts|examples)/',
        pathNot: '^sdk/(index|onnx/index|ort/index|arrow/index)\\.ts$',
      },
    },
    {
      name: 'plugin-imports-sdk-by-name',
      comment:
        'A plugin reaches lamella/sdk and lamella/proto by package name, as a third-party plugin does.',
      severity: 'error',
      from: { path: '^plugins/' },
      to: { path: '^(sdk|proto)/', dependencyTypes: ['local'], dependencyTypesNot: ['aliased'] },
    },
    {
      name: 'grpc-only-in-kernel',
      comment: 'Only kernel imports @grpc; everybody else sees the sdk.',
      severity: 'error',
      from: { pathNot: '^(kernel|test|benchmarks|node_modules)/' },
      to: { path: '^node_modules/@grpc/' },
    },
    {
      name: 'tsyringe-only-in-container',
      comment: 'One file builds the object graph.',
      severity: 'error',
      from: { pathNot: '^(kernel/container\\.ts|node_modules/)' },
      to: { path: '^node_modules/(tsyringe|reflect-metadata)/' },
    },
    {
      name: 'onnxruntime-only-in-sdk-ort',
      comment:
        'Sessions live in the child processes of sdk/ort; a test may run a graph to check its numbers.',
      severity: 'error',
      from: { pathNot: '^(sdk/ort|test|benchmarks|node_modules)/' },
      to: { path: '^node_modules/onnxruntime-node/' },
    },
    {
      name: 'tests-stay-outside',
      comment: 'Nothing that ships imports a test or a benchmark.',
      severity: 'error',
      from: { pathNot: '^(test|benchmarks|node_modules)/' },
      to: { path: '^(test|benchmarks)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|coverage|sdk/templates)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['source', 'import', 'require', 'node', 'default'],
      extensions: ['.ts', '.js', '.cjs', '.mjs', '.json'],
    },
  },
};
