// Texts whose contrast with what lies behind them is below WCAG AA: 4.5, or 3 for large ones; as [ratio, text].
// Grounds that let something through are laid over what is behind them; what lies over the picture is measured
// over white and over black.
() => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const parse = (color) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = color;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((value, i) => value * a + under[i] * (1 - a));
  const light = (rgb) => {
    const linear = rgb
      .map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const ground = (node, base) => {
    const colors = [];
    for (let each = node; each; each = each.parentElement) {
      const color = parse(getComputedStyle(each).backgroundColor);
      colors.push(color);
      if (color[3] === 1 || each.className === "frame") break;
    }
    return colors.reverse().reduce((under, color) => over(color, under), base);
  };
  const shows = (node) => {
    const seen = node.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    return seen && node.getBoundingClientRect().width > 2 && !node.closest("button:disabled, script, style");
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !shows(node)) continue;
    const { fontSize, fontWeight, color } = getComputedStyle(node);
    const large = parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && fontWeight >= 700);
    const white = [255, 255, 255];
    const bases = node.closest(".over, .status, .tip") ? [[0, 0, 0], white] : [white];
    for (const base of bases) {
      const back = ground(node, base);
      const levels = [light(over(parse(color), back)), light(back)].sort((a, b) => b - a);
      const ratio = (levels[0] + 0.05) / (levels[1] + 0.05);
      if (ratio < (large ? 3 : 4.5)) faint.push([ratio.toFixed(2), node.textContent.trim().slice(0, 40)]);
    }
  }
  return faint;
}
