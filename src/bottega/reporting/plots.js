// Each plot gets a button: its still picture makes room for one that answers to the pointer, and comes back.
// Where scripts do not run there is no button, and where anything fails the still picture stays.
for (const figure of document.querySelectorAll("figure.wakes")) {
  const live = figure.querySelector(".live");
  const button = document.createElement("button");
  const show = (on) => {
    live.hidden = !on;
    figure.classList.toggle("alive", on);
    button.textContent = on ? "still" : "interactive";
    button.setAttribute("aria-pressed", String(on));
  };
  button.type = "button";
  button.addEventListener("click", async () => {
    show(live.hidden);
    if (live.hidden || live.hasChildNodes()) return;
    try {
      const spec = JSON.parse(figure.querySelector("script").textContent);
      await vegaEmbed(live, spec, { ast: true, actions: false, renderer: "svg" });
    } catch (error) {
      show(false);
      button.remove();
      throw error;
    }
  });
  show(false);
  figure.querySelector("figcaption").append(" ", button);
}
