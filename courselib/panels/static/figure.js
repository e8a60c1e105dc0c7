// A figure that takes plotly from a bundle all figures of its page share. The bundle is the state of another widget;
// asking the widget manager for that works wherever widgets do, also where each output is a page of its own.
const PATIENCE_MS = 20000;

async function source(model) {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return (await model.widget_manager.get_model(model.get("_bundle"))).get("source");
    } catch (error) {
      // After the page was loaded again the models come back in any order.
      if (Date.now() > until) throw error;
      await new Promise((done) => setTimeout(done, 100));
    }
  }
}

async function load(model) {
  const url = URL.createObjectURL(new Blob([await source(model)], { type: "text/javascript" }));
  try {
    return (await import(/* webpackIgnore: true */ url)).default;
  } finally {
    URL.revokeObjectURL(url);
  }
}

export default () => {
  let figure;
  return {
    async initialize(context) {
      const shared = (globalThis.courselibPlotly ??= new Map());
      const version = context.model.get("_plotly");
      if (!shared.has(version)) shared.set(version, load(context.model));
      try {
        figure = (await shared.get(version))();
      } catch (error) {
        shared.delete(version);
        throw error;
      }
      return figure.initialize(context);
    },
    render(context) {
      const end = figure.render(context);
      // Plotly draws before its place has a width, and then looks at the window's size only.
      const fit = new ResizeObserver(() => context.el._responsiveChartHandler?.());
      fit.observe(context.el);
      return () => {
        fit.disconnect();
        end?.();
      };
    },
  };
};
