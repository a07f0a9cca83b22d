// A class map as pixels.

// Five points of viridis, between which colours are interpolated; equal steps look equal (van der Walt and Smith 2015).
const COLOURS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

function colour(share) {
  const place = Math.min(Math.max(share, 0), 1) * (COLOURS.length - 1);
  const low = Math.min(Math.floor(place), COLOURS.length - 2);
  return COLOURS[low].map((value, n) => value + (COLOURS[low + 1][n] - value) * (place - low));
}

// Evidence for the label alone is shown, from none to the largest in the image; a cell that speaks against it is clear.
export function layer(map) {
  const small = document.createElement("canvas");
  small.width = map[0].length;
  small.height = map.length;
  const pen = small.getContext("2d");
  const pixels = pen.createImageData(small.width, small.height);
  const largest = Math.max(1e-9, ...map.flat());
  map.flat().forEach((value, n) => {
    const share = Math.max(0, value / largest);
    pixels.data.set([...colour(share), 255 * Math.min(1, 1.5 * share)], 4 * n);
  });
  pen.putImageData(pixels, 0, 0);
  return small;
}
