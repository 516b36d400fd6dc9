import assert from 'node:assert';
import test from 'node:test';
import isNumber from 'is-number';
import { line } from './ages.js';

test('an age is a line of HTML', () => {
  assert.ok(isNumber('7'));
  assert.equal(line('<b>', 120000), '<p>&lt;b&gt; is 2 minutes old.</p>\n');
});
