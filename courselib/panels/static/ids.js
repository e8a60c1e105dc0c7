// A number that nothing else on the page has. Put before scripts that need ids: anywidget imports a module anew for every
// model, so that a counter of the module's own would begin anew, too.
const nextNumber = () => (globalThis.courselibNumber = (globalThis.courselibNumber ?? 0) + 1);
