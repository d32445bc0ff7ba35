import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { errorCatalogue, renderErrors } from './error-catalogue.ts';
import { ROOT } from './run-command.ts';

await writeFile(path.join(ROOT, 'docs', 'errors.md'), renderErrors(await errorCatalogue()));
