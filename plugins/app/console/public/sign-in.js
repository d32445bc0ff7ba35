// The API key of the person, kept until the tab is closed and nowhere else.

import { text } from './text.js';

const KEY = 'lamella.key';

const byId = (id) => document.getElementById(id);
let asking;

/** Headers that say who calls; none without a key. */
export function credentials() {
  const key = sessionStorage.getItem(KEY);
  return key === null ? {} : { authorization: `Bearer ${key}` };
}

/** Asks for a key, once however many calls were refused. Resolves with false when the person gives none. */
export function signIn() {
  asking ??= askForKey().finally(() => (asking = undefined));
  return asking;
}

function askForKey() {
  const dialog = byId('sign-in');
  const field = byId('key');
  const wasRefused = sessionStorage.getItem(KEY) !== null;
  byId('sign-in-problem').textContent = wasRefused ? text('keyRefused') : '';
  field.value = '';
  dialog.showModal();
  return new Promise((resolve) => {
    const done = (isGiven) => {
      dialog.onclose = null;
      dialog.close();
      showLeave();
      resolve(isGiven);
    };
    dialog.querySelector('form').onsubmit = (event) => {
      // The form goes nowhere: the key is for the headers of later calls.
      event.preventDefault();
      sessionStorage.setItem(KEY, field.value.trim());
      done(true);
    };
    byId('sign-in-cancel').onclick = () => done(false);
    dialog.onclose = () => done(false);
  });
}

function showLeave() {
  byId('leave').hidden = sessionStorage.getItem(KEY) === null;
}

byId('leave').addEventListener('click', () => {
  sessionStorage.removeItem(KEY);
  location.reload();
});
showLeave();
