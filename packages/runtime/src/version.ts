/** The one version of all packages; `version.test.ts` holds it against package.json. */
export const sluiceVersion = '0.1.0';
