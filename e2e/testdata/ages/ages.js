import escape from 'escape-html';
import ms from 'ms';

// line says how old somebody is; the age is in milliseconds.
export function line(name, age) {
  return `<p>${escape(name)} is ${ms(age, { long: true })} old.</p>\n`;
}
