const data = islandData();
fill(
  byId("here"),
  data.items.map((clips) => player(clips, data.sounds)),
);
