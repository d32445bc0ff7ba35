import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { configurationCatalogue, renderConfiguration } from './configuration-catalogue.ts';
import { ROOT } from './run-command.ts';

const page = renderConfiguration(await configurationCatalogue());
await writeFile(path.join(ROOT, 'docs', 'configuration.md'), page);
