/** The page's style sheet; part of the page, because its policy lets nothing be loaded. */
export const style = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 0.5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 0.25rem 0.75rem 0.25rem 0; border-bottom: 1px solid #8884;
  vertical-align: top; overflow-wrap: anywhere; }
ul { margin: 0.25rem 0; padding-left: 1.2rem; }
.good { color: #188038; }
.bad { color: #d93025; }
.quiet { color: #8a8a8a; }
.alarm { border-left: 4px solid #d93025; padding-left: 1rem; }
`;
