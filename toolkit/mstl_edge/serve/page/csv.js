// All answers as one table for a spreadsheet.

function quoted(value) {
  // A cell that begins like a formula would be one in a spreadsheet.
  const text = /^[=+\-@\t\r]/.test(value) && Number.isNaN(Number(value)) ? `'${value}` : value;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function csv(models, rows) {
  const labels = models[0].card.labels;
  const lines = [["image", "model", "label", "probability", ...labels.map((label) => `p_${label}`), "error", "warning", "set", "familiar", "ms"]];
  for (const row of rows) {
    if (row.error) lines.push([row.name, "", "", "", ...labels.map(() => ""), row.error, "", "", "", ""]);
    row.answers.forEach((record, number) => lines.push([
      row.name, models[number].file, record.label, record.probability.toFixed(6),
      ...labels.map((label) => (record.probabilities[label] ?? "").toFixed?.(6) ?? ""), "", (record.warnings || []).join("; "),
      (record.set || []).join("|"), record.familiarity ? (record.familiarity.familiar ? "yes" : "no") : "", record.milliseconds.toFixed(2),
    ]));
  }
  return `${lines.map((line) => line.map(quoted).join(",")).join("\n")}\n`;
}
