#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh HCCS WORK: exports projects, builds and runs each on the host, and compares; then what must be refused.
set -eu
hccs=$1 work=$2 no_vectors=$(cd "$(dirname "$0")/../graph/no_vectors" && pwd)
rm -rf "$work"
mkdir -p "$work"
cd "$work"

fail() {
  echo "FAILED: $*"
  exit 1
}

head_line() { # NUMBER B KNEES
  echo "{\"layer\": 0, \"head\": $1, \"B\": $2, \"knees\": $3, \"step\": 0.1, \"kl\": 0.1, \"kl_continuous\": 0.1, \"rows\": 1,
    \"max_probability\": 0.9, \"default\": false}"
}
cat >params.json <<END
{"format": "hccs-params", "version": 1, "model": "*/ made\\nup", "layers": 1, "heads": 5, "head_dimension": 32, "sequence_length": 64,
 "knees": 4, "limits": "native", "share": "head", "seed": 1, "data_digest": "none", "parameters": [
$(head_line 0 20000 '[[100, 10], [50, 30], [3, 90]]'),
$(head_line 1 300 '[[4, 60]]'),
$(head_line 2 255 '[[3, 85]]'),
$(head_line 3 32767 '[[127, 20], [60, 40], [30, 100], [2, 127]]'),
$(head_line 4 200 '[[1, 60]]')]}
END

cat >layer.json <<END
{"format": "hccs-params", "version": 1, "model": "six", "layers": 1, "heads": 6, "head_dimension": 32, "sequence_length": 64,
 "knees": 4, "limits": "native", "share": "head", "seed": 1, "data_digest": "none", "parameters": [
$(head_line 0 20000 '[[100, 10], [50, 30], [3, 90]]'),
$(head_line 1 300 '[[4, 60]]'),
$(head_line 2 400 '[[5, 60]]'),
$(head_line 3 32767 '[[127, 20], [60, 40], [30, 100], [2, 127]]'),
$(head_line 4 500 '[[1, 60], [1, 70]]'),
$(head_line 5 700 '[[4, 60]]')]}
END

export_project() { # NAME, options
  name=$1
  shift
  case "$*" in *--params*) ;; *) set -- --params params.json "$@" ;; esac
  case "$*" in *--target*) ;; *) set -- --target aie "$@" ;; esac
  "$hccs" export --layer 0 -o "$name" "$@"
}
# The first project is for the makefile's own compiler, the others for one that takes a third of its time.
run_host() { make -s -C "$1" host CXXFLAGS=-O0 ${compiler:+"CXX=$compiler"} >"$1.log" 2>&1; }
compiler=
check() { # NAME, options
  export_project "$@"
  run_host "$1" || { cat "$1.log"; fail "$1: make host"; }
  grep -q 'all results are as expected' "$1.log" || fail "$1: no comparison"
  echo "$1: ok"
}

npy() { # SHAPE, ELEMENTS: an int8 .npy array
  printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '|i1', 'fortran_order': False, 'shape': ($1), }"
  awk -v n="$2" 'BEGIN { for (i = 0; i < n; ++i) printf "%c", 33 + i * i % 90 }'
}
npy '1, 10, 20' 200 >logits.npy  # two blocks
npy '18, 32' 576 >q.npy
npy '42, 32' 1344 >k.npy
npy '2, 18, 32' 1152 >q2.npy
npy '2, 42, 32' 2688 >k2.npy

check rows --head 0 1 3 --length 77 --rows 16 --seed 7
compiler=clang++
check tiles --head 0 3 --length 45 --rows 24 --tiles 3 --memory-tile --kernel tiles --normalisation clb --output int16 \
  --device vek385 --blocks 3
check tiles_280 --head 1 --length 45 --rows 9 --kernel tiles --output int16
check paper_rows --head 1 4 --length 64 --rows 6 --tiles 2 --kernel paper_rows --normalisation div
check segments --head 3 --length 160 --rows 17
check length --head 0 1 3 --length 77 --rows 9 --masks length --blocks 6
check earlier_names --head 0 --length 45 --rows 3 --kernel interleaved --masks limits
grep -q 'rows.h' earlier_names/src/softmax.cc || fail 'interleaved is not rows'
check attention --head 2 --length 45 --rows 11 --kernel attention --device vek385 --seed 5
check attention_files --head 2 --length 21 --rows 9 --kernel attention --query q.npy --key k.npy --value k.npy \
  --product-scale 0.0005
grep -q '2 blocks; data: q.npy' attention_files/README.md || fail 'the data are not those of the files'
check from_file --head 3 --length 20 --rows 5 --logits logits.npy --device vek385 --output int16
[ "$(head -n 1 from_file/data/logits.txt | cut -d ' ' -f 1-3)" = '33 34 37' ] || fail 'the logits are not those of the file'

check layer --head all --length 77 --rows 40 --masks length --kernel tiles --params layer.json --seed 3
grep -q 'kTiles = 2;' layer/src/project.h || fail 'six heads that need two tiles'
grep -q 'layer 0, head 5: step = 0.1, factor = 1.76777, about 28963 \* 2^-14' layer/README.md || fail 'no factor of a head'
check attention_layer --head all --heads-per-tile 2 --length 45 --rows 11 --kernel attention --params layer.json
grep -q 'kTiles = 3;' attention_layer/src/project.h || fail 'attention of six heads, two on a tile'
grep -q 'layer 0, head 5: step = 0.1, factor = 1.76777' attention_layer/README.md || fail 'no factor of a head of attention'
check attention_heads --head 1 3 --length 21 --rows 9 --kernel attention --query q2.npy --key k2.npy --value k2.npy \
  --product-scale 0.0005 0.0007
check one_each --head all --heads-per-tile 1 --length 20 --rows 5 --output int16 --device vek385 --params layer.json
grep -q 'kTiles = 6;' one_each/src/project.h || fail 'a tile for each head'

# For NPUs: the kernel as IRON links it. Its Python is iron_test.py's.
check iron --target iron --device npu2 --head all --length 77 --rows 40 --masks length --params layer.json
check iron_tiles --target iron --device npu1 --head 0 3 --tiles 6 --length 45 --rows 24 --kernel tiles --normalisation clb --output int16
check iron_paper --target iron --device npu1 --head 1 --length 64 --rows 6 --kernel paper_rows --normalisation div
check iron_attention --target iron --device npu1 --head all --heads-per-tile 1 --length 45 --rows 11 --kernel attention \
  --params layer.json
grep -q 'extern "C" void hccs_attention' iron_attention/src/attention_head.cc || fail 'no plain function for IRON'
grep -q 'layer 0, head 5: step = 0.1, factor = 1.76777' iron/README.md || fail 'no factor of a head for IRON'

# Graphs as their compiler sees them, which has no vector types.
for name in rows tiles paper_rows length attention attention_layer layer; do
  $compiler -std=c++20 -fsyntax-only -D__AIE_ARCH__=20 -DHCCS_AIE_HOST -I"$no_vectors" -I$name/host/include -I$name -I$name/src \
    $name/src/graph.cpp || fail "$name: the graph needs the AIE API"
done
grep -q xilinx_vek280_base_202520_1 rows/Makefile || fail 'not the platform of 2025.2'
export_project newer --head 3 --length 20 --rows 5 --vitis 2026.1
grep -q xilinx_vek280_base_202610_1 newer/Makefile || fail 'not the platform of 2026.1'

# A project works wherever it is, and one wrong value is seen.
mkdir elsewhere
mv rows elsewhere/moved
run_host elsewhere/moved || fail 'a moved project'
changed=elsewhere/moved/data/expected.txt
awk 'NR == 5 { $1 = ($1 + 1) % 256 } { print }' "$changed" >changed.txt
cmp -s changed.txt "$changed" && fail 'nothing was changed'
cp changed.txt "$changed"
run_host elsewhere/moved && fail 'a wrong value was not seen'
grep -q 'differ' elsewhere/moved.log || fail 'the comparison does not say so'
grep -q 'out.txt: block 0, head 0, row 0, position 64: expected' elsewhere/moved.log || fail 'the comparison does not say where'
# Of another block and head: three rows of 64 a tile and head, two heads, so that block 1's head 4 begins at line 37.
for tile in 0 1; do
  awk -v line=$((41 + tile)) 'NR == line { $2 = ($2 + 1) % 256 } { print }' paper_rows/data/expected_$tile.txt >changed.txt
  cp changed.txt paper_rows/data/expected_$tile.txt
done
run_host paper_rows && fail 'a wrong value of a tile was not seen'
for place in 'out_0.txt: block 1, head 4, row 1, position 1: ' 'out_1.txt: block 1, head 4, row 4, position 17: '; do
  grep -q "$place" paper_rows.log || { cat paper_rows.log; fail "the comparison does not say $place"; }
done

# Six heads, two on each of three tiles: block 2's head 3 on tile 1; element 8 of a head is column 0 of row 1.
awk 'NR == 161 { $9 = $9 == 1 ? 2 : 1 } { print }' attention_layer/data/expected_1.txt >changed.txt
cp changed.txt attention_layer/data/expected_1.txt
run_host attention_layer && fail 'a wrong value of a head of attention was not seen'
grep -q 'out_1.txt: block 2, head 3, row 1, position 0: ' attention_layer.log || {
  cat attention_layer.log
  fail 'the comparison does not say where in a head of attention'
}
# For IRON, the last value: head 5, block 3, row 39, position 76.
printf '\001' | dd of=iron/data/expected.npy bs=1 seek=$(($(wc -c <iron/data/expected.npy) - 1)) conv=notrunc 2>dd.txt
run_host iron && fail 'a wrong value for IRON was not seen'
grep -q 'block 3, head 5, row 39, position 76: expected 1, got 0' iron.log || { cat iron.log; fail 'no place of a wrong value'; }

# The masks are those that the graph gets.
sed -i 's/^    {45, 45},$/    {40, 45},/' attention/src/project.h
run_host attention && fail 'other masks were not seen'
grep -q 'differ' attention.log || fail 'other masks: the comparison does not say so'

# The comparison of what simulators write: stand-ins for AMD's programs, the second with time stamps and TLAST.
mkdir tools
printf '#!/bin/sh\ntouch libadf_x86.a\n' >tools/v++
cat >tools/x86simulator <<'END'
#!/bin/sh
mkdir -p x86simulator_output/data
sed 's/$/ /; s/^/T 10 ns\n/; 3s/^/TLAST\n/' host_output/data/out.txt >x86simulator_output/data/out.txt
END
chmod +x tools/v++ tools/x86simulator
PATH=$work/tools:$PATH make -s -C from_file x86sim >from_file.log 2>&1 || { cat from_file.log; fail 'x86sim'; }
awk 'NR == 1 { $1 = $1 + 1 } { print }' from_file/data/expected.txt >changed.txt
cp changed.txt from_file/data/expected.txt
PATH=$work/tools:$PATH make -s -C from_file x86sim >from_file.log 2>&1 && fail 'x86sim does not see a wrong value'

# Parameters that are changed by hand to what the kernel does not serve do not compile.
sed -i 's/^    300, 1,/    240, 1,/' elsewhere/moved/src/project.h
run_host elsewhere/moved && fail 'B = 240, F = 0 compiled'
grep -q 'parameters that the kernel does not serve' elsewhere/moved.log || fail 'the compiler does not say why'

refused() { # PARTS OF THE MESSAGE, options: nothing is written
  parts=$1
  shift
  if export_project refused "$@" 2>message.txt; then fail "not refused: $*"; fi
  echo "$parts" | tr '|' '\n' | while read -r part; do
    grep -qF -- "$part" message.txt || { cat message.txt; fail "no '$part' for $*"; }
  done
  [ ! -e refused ] || fail "something was written for $*"
  [ -z "$(find . -maxdepth 1 -name '.hccs-*')" ] || fail "something was left for $*"
}
refused 'layer 0, head 2|255|256' --head 1 2 --length 64 --rows 4
refused 'layer 0, head 4|masked rows|B = 200' --head 4 --length 64 --rows 4 --masks length
refused 'layer 0, head 5|5 heads' --head 5 --length 64 --rows 4
refused 'layer 0, head 0|K = 3|paper_rows' --head 0 --length 64 --rows 4 --kernel paper_rows --normalisation div
refused 'scaled' --head 1 --length 64 --rows 4 --kernel paper_rows
refused 'length 60' --head 1 --length 60 --rows 4 --kernel paper_rows --normalisation clb
refused 'length 8200|up to 8192' --head 1 --length 8200 --rows 1 --kernel tiles --output int16
refused 'a tile has 65536' --head 1 --length 1024 --rows 16
refused 'layer 0, head 2|255|256' --head all --length 64 --rows 4
refused 'a tile has 65536' --head all --length 1024 --rows 16 --params layer.json
refused '6 heads on tiles of 4' --head all --heads-per-tile 4 --length 64 --rows 4 --params layer.json
refused '--tiles does not go with --head all' --head all --length 64 --rows 4 --tiles 2
refused '--heads-per-tile goes with --head all' --head 1 --length 64 --rows 4 --heads-per-tile 1
refused '--head all goes with no other head' --head all 1 --length 64 --rows 4
refused '6 heads on tiles of 4' --head all --heads-per-tile 4 --length 64 --rows 4 --kernel attention --params layer.json
refused 'no multiple of --tiles 3' --head 1 --length 64 --rows 4 --tiles 3
refused '7 tiles|6 channels in' --head 1 --length 64 --rows 14 --tiles 7 --memory-tile
refused 'logits.npy|[1, 10, 20]|[1, rows, 21]' --head 1 --length 21 --rows 5 --logits logits.npy
refused 'multiple of --rows 4' --head 1 --length 20 --rows 4 --logits logits.npy
refused 'masks go with one tile, not 2' --head 1 --length 64 --rows 4 --tiles 2 --masks length
refused 'paper_rows has no masks' --head 1 --length 64 --rows 4 --kernel paper_rows --normalisation div --masks length
refused '--output does not go with --kernel attention' --head 1 --length 64 --rows 4 --kernel attention --output int16
refused 'logits.npy|[1, 10, 20]|[1, rows, 64]' --head 1 --length 64 --rows 4 --kernel attention --logits logits.npy
refused '5 queries and 1024 keys|a tile has 65536' --head all --length 1024 --rows 5 --kernel attention --params layer.json
refused '3 products of scales for 2 heads' --head 1 3 --length 21 --rows 9 --kernel attention --query q2.npy --key k2.npy \
  --value k2.npy --product-scale 1 2 3
refused 'q2.npy|[2, 18, 32]|[1, rows, 32]' --head 1 --length 21 --rows 9 --kernel attention --query q2.npy --key k2.npy \
  --value k2.npy --product-scale 1
refused 'layer 0, head 7|5 heads' --head 7 --length 64 --rows 4 --kernel attention
refused 'a tile has 65536' --head 1 --length 1024 --rows 8 --kernel attention
sed 's/"head_dimension": 32/"head_dimension": 0/' params.json >no_dimension.json
refused 'does not say the head dimension' --head 1 --length 64 --rows 4 --kernel attention --params no_dimension.json
sed 's/"head_dimension": 32/"head_dimension": 24/' params.json >dimension_24.json
refused 'head dimension 24' --head 1 --length 64 --rows 4 --kernel attention --params dimension_24.json
refused '--target iron needs --device: npu1 or npu2' --target iron --head 1 --length 64 --rows 4
refused 'npu3|npu1|npu2' --target iron --device npu3 --head 1 --length 64 --rows 4
refused '--target iron is for the devices npu1 and npu2, not vek280' --target iron --device vek280 --head 1 --length 64 --rows 4
refused '--target aie is for the devices vek280 and vek385, not npu1' --device npu1 --head 1 --length 64 --rows 4
refused '--memory-tile does not go with --target iron' --target iron --device npu1 --head 1 --length 64 --rows 4 --tiles 2 --memory-tile
refused '--vitis does not go with --target iron' --target iron --device npu1 --head 1 --length 64 --rows 4 --vitis 2026.1
refused '--target iron needs --rows' --target iron --device npu1 --head 1 --length 64
refused '--nodes goes with --target aie4ml' --target iron --device npu1 --head 1 --length 64 --rows 4 --nodes 'l{layer}'
refused 'layer 0, head 2|255|256' --target iron --device npu2 --head 1 2 --length 64 --rows 4
refused '5 tiles|npu1 has 4 columns of 4' --target iron --device npu1 --head 1 --length 64 --rows 10 --tiles 5
refused '32 tiles|npu1 has at most 16' --target iron --device npu1 --head 1 --length 64 --rows 32 --tiles 32
refused 'a tile has 65536' --target iron --device npu2 --head 1 --length 1024 --rows 16
refused '17 tiles|vek280 has at most 16' --head 1 --length 64 --rows 17 --tiles 17
mkdir exists
if export_project exists --head 1 --length 64 --rows 4 2>message.txt; then fail 'an existing folder was taken'; fi
grep -q 'exists: exists already' message.txt || fail 'an existing folder: no message'
[ -z "$(ls exists)" ] || fail 'an existing folder was written to'
if export_project no/such/folder --head 1 --length 64 --rows 4 2>message.txt; then fail 'no parent'; fi
grep -q 'No such file' message.txt || fail 'no parent: no message'
echo 'refusals: ok'
