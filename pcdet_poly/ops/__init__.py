"""Operations on points, boxes and cells: one public function or family a file, `cpu/` and `gpu/` behind it."""
