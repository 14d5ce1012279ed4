/* Draws every chart of the report. */
for (const { id, ...chart } of JSON.parse(document.getElementById('charts').textContent))
  podDistCharts.put(id, chart);
podDistCharts.drawChanged();
