/* The words and bounds of the method: one table each, so that the JSON, the FHIR report and the screen agree. */
#include "lung/lung.h"

#include <assert.h>

const struct lung_class_row lung_classes[LUNG_CLASSES_COUNT] = {
    [LUNG_CLASS_EMPHYSEMA] = { "emphysema", "低密度区（<-950 HU）", "Low attenuation (below -950 HU)", -1024,
                               -950 },
    [LUNG_CLASS_AERATED] = { "well-aerated", "通气良好", "Well aerated", -950, -700 },
    [LUNG_CLASS_GROUND_GLASS] = { "ground-glass", "磨玻璃密度", "Ground-glass density", -700, -500 },
    [LUNG_CLASS_MIXED] = { "mixed-density", "混合密度", "Mixed density", -500, -200 },
    [LUNG_CLASS_CONSOLIDATION] = { "consolidation", "实变密度", "Consolidation density", -200, 60 },
    [LUNG_CLASS_VESSEL] = { "vessel", "血管与钙化", "Vessels and calcium", -200, 3072 },
    [LUNG_CLASS_EDGE] = { "partial-volume-edge", "边缘部分容积", "Partial-volume edges", -700, -200 },
};

const struct lung_region_row lung_regions[LUNG_REGIONS_COUNT] = {
    [LUNG_RIGHT_UPPER] = { "right-upper-zone", "右上肺野", "Right upper zone" },
    [LUNG_RIGHT_MIDDLE] = { "right-middle-zone", "右中肺野", "Right middle zone" },
    [LUNG_RIGHT_LOWER] = { "right-lower-zone", "右下肺野", "Right lower zone" },
    [LUNG_LEFT_UPPER] = { "left-upper-zone", "左上肺野", "Left upper zone" },
    [LUNG_LEFT_MIDDLE] = { "left-middle-zone", "左中肺野", "Left middle zone" },
    [LUNG_LEFT_LOWER] = { "left-lower-zone", "左下肺野", "Left lower zone" },
    [LUNG_RIGHT] = { "right-lung", "右肺", "Right lung" },
    [LUNG_LEFT] = { "left-lung", "左肺", "Left lung" },
    [LUNG_BOTH] = { "both-lungs", "双肺", "Both lungs" },
};

const struct lung_note_row lung_notes[LUNG_NOTES_COUNT] = {
    [LUNG_UNFIT_NOT_CT] = { "not-ct", "不是 CT 图像", "Not a CT image series", "" },
    [LUNG_UNFIT_NOT_AXIAL] = { "not-axial", "不是横断面图像", "Not an axial series", "" },
    [LUNG_UNFIT_TOO_FEW_SLICES] = { "too-few-slices", "层数太少", "Too few slices", "slices" },
    [LUNG_UNFIT_MISSING_SLICES] = { "missing-slices", "中间缺层，不予测量", "Slices are missing", "slices" },
    [LUNG_UNFIT_MIXED_SERIES] = { "mixed-series", "同一序列混有两套图像，不予测量",
                                  "One series mixes two sets of images", "slices" },
    [LUNG_UNFIT_GEOMETRY] = { "geometry", "图像几何信息缺失或不一致", "Geometry is missing or inconsistent",
                              "" },
    [LUNG_UNFIT_TOO_LARGE] = { "too-large", "图像过大，超出测量限度", "Larger than this method measures",
                               "" },
    [LUNG_UNFIT_NO_LUNG] = { "no-lung", "未找到肺", "No lung found", "" },
    [LUNG_UNFIT_DAMAGED_SLICES] = { "too-many-damaged", "图像损坏过多，不予测量",
                                    "Too many images are damaged", "slices" },
    [LUNG_WARN_THICK_SLICES] = { "thick-slices", "层厚较大，小病灶和边缘不准",
                                 "Thick slices: small lesions and borders are inaccurate", "mm" },
    [LUNG_WARN_SHARP_KERNEL] = { "sharp-kernel", "锐利重建核，低密度区偏高",
                                 "Sharp kernel: low attenuation is overestimated", "" },
    [LUNG_WARN_CONTRAST] = { "contrast", "使用了对比剂，密度整体偏高", "Contrast agent: densities are raised",
                             "" },
    [LUNG_WARN_TILT] = { "gantry-tilt", "机架倾斜", "Gantry tilt", "deg" },
    [LUNG_WARN_UNEVEN_SPACING] = { "uneven-spacing", "层间距不均匀", "Slice spacing is uneven", "mm" },
    [LUNG_WARN_DUPLICATE_SLICES] = { "duplicate-slices", "有重复图像，已忽略",
                                     "Duplicate images were left out", "slices" },
    [LUNG_WARN_RANGE_INCOMPLETE] = { "range-incomplete", "扫描范围未包全肺",
                                     "The scan does not cover the whole lung", "mm2" },
    [LUNG_WARN_HIGH_MEAN] = { "high-mean-density", "肺平均密度偏高，可能为呼气相扫描",
                              "High mean density: possibly scanned in expiration", "HU" },
    [LUNG_WARN_EXCLUDED_DENSE] = { "excluded-dense-region", "可能有致密区未计入肺内，请人工核对",
                                   "A dense region may be lung and was not counted: check by eye", "ml" },
    [LUNG_WARN_AIRWAY_NOT_FOUND] = { "airway-not-found", "未找到气管，未扣除气道",
                                     "Airway not found and not subtracted", "" },
    [LUNG_WARN_SIDES_JOINED] = { "sides-joined", "左右肺相连，已按最薄处分开",
                                 "The lungs touch and were cut at the thinnest place", "" },
    [LUNG_WARN_ASYMMETRY] = { "asymmetry", "左右肺容积相差较大，请核对是否有未计入的区域",
                              "The lungs differ much in volume: check for regions not counted", "%" },
    [LUNG_WARN_BASE_HEIGHT] = { "base-height", "一侧肺底明显高于对侧：膈肌抬高、积液或未计入的实变，请核对",
                                "One lung ends much higher than the other: raised diaphragm, fluid, or "
                                "consolidation that was not counted; check by eye",
                                "mm" },
    [LUNG_WARN_NOISE] = { "high-noise", "噪声较大，低密度区偏高",
                          "High noise: low attenuation is overestimated", "HU" },
    [LUNG_WARN_OTHER_SERIES] = { "other-series", "另有其他序列，已选用最适合测量的一套",
                                 "Other series exist; the most suitable one was measured", "series" },
    [LUNG_WARN_SMALL_LUNG] = { "small-lung", "肺容积很小（儿童、呼气或未包全）",
                               "Very small lung (child, expiration or incomplete)", "ml" },
    [LUNG_WARN_DAMAGED_SLICES] = { "damaged-slices", "图像损坏，该处按相邻层推算",
                                   "Damaged images: their place was filled from the slices beside",
                                   "slices" },
};

void lung_notes_add(struct lung_notes_list *notes, enum lung_note_code code, double value)
{
    assert(notes != NULL);
    assert(code < LUNG_NOTES_COUNT);
    for (size_t i = 0; i < notes->count; i++) {
        if (notes->items[i].code == code) {
            notes->items[i].value = value > notes->items[i].value ? value : notes->items[i].value;
            return;
        }
    }
    assert(notes->count < LUNG_NOTES_MAX); /* one a code, and there are fewer codes */
    notes->items[notes->count++] = (struct lung_note){ code, value };
}
static_assert((int)LUNG_NOTES_COUNT <= (int)LUNG_NOTES_MAX, "each note fits once");

bool lung_notes_has(const struct lung_notes_list *notes, enum lung_note_code code)
{
    for (size_t i = 0; i < notes->count; i++) {
        if (notes->items[i].code == code) {
            return true;
        }
    }
    return false;
}

bool lung_notes_unfit(const struct lung_notes_list *notes)
{
    for (size_t i = 0; i < notes->count; i++) {
        if (notes->items[i].code <= LUNG_UNFIT_LAST) {
            return true;
        }
    }
    return false;
}

double lung_percent(const struct lung_amounts *amounts, double ml)
{
    return amounts->volume_ml > 0 ? 100 * ml / amounts->volume_ml : 0;
}
