/**
 * The engine of user-written regular expressions, behind an ES module of our own: a bundle keeps a module that is
 * loaded by `require()` apart, whereas the engine itself, being CommonJS, would join the code that asks for it.
 */
export { RE2JS, RE2JSSyntaxException } from 're2js';
