import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { ROOT } from '../serving-kernel.ts';
import { runTool, toolCache } from '../tool.ts';

const GENERATORS: readonly string[] = [
  'google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12',
  'google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2',
];
const GRPC_MODULE = 'google.golang.org/grpc@v1.83.2';
const GRPCURL = 'github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4';
const H2SPEC = 'github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible';
const MODULE = 'lamella.test/client';

/** Installs Go programs and returns their folder. */
async function install(programs: readonly string[]): Promise<string> {
  const folder = await toolCache('go-bin');
  for (const program of programs)
    await runTool('go', ['install', program], { env: { ...process.env, GOBIN: folder } });
  return folder;
}

/** Path of grpcurl. */
export async function grpcurl(): Promise<string> {
  return path.join(await install([GRPCURL]), 'grpcurl');
}

/** Path of h2spec, which tries servers against the text of HTTP/2. */
export async function h2spec(): Promise<string> {
  return path.join(await install([H2SPEC]), 'h2spec');
}

/** Generates a Go client from the `.proto` files, builds it and returns the program. */
export async function goClient(): Promise<string> {
  const tools = await install(GENERATORS);
  const folder = await toolCache('go-client');
  const generated = path.join(folder, 'inference');
  await mkdir(generated, { recursive: true });
  await copyFile(path.join(ROOT, 'test', 'e2e', 'go', 'main.go'), path.join(folder, 'main.go'));
  // The files name no Go package, since the project has no Go code of its own; a Go user maps them like this.
  const mapping = ['grpc_inference_service', 'model_config'].map(
    (file) => `Minference/${file}.proto=${MODULE}/inference`,
  );
  const opt = [`module=${MODULE}`, ...mapping];
  const template = {
    version: 'v2',
    plugins: ['protoc-gen-go', 'protoc-gen-go-grpc'].map((name) => ({
      local: path.join(tools, name),
      out: folder,
      opt,
    })),
  };
  const buf = path.join(ROOT, 'node_modules', '.bin', 'buf');
  await runTool(buf, ['generate', '--template', JSON.stringify(template), '--path', 'proto/inference'], {
    cwd: ROOT,
  });
  await runTool('go', ['mod', 'init', MODULE], { cwd: folder }).catch(
    () => 'It is there from the last time.',
  );
  await runTool('go', ['get', GRPC_MODULE], { cwd: folder });
  await runTool('go', ['mod', 'tidy'], { cwd: folder });
  await runTool('go', ['build', '-o', 'client', '.'], { cwd: folder });
  return path.join(folder, 'client');
}
