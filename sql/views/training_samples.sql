--! description = "A sample that is trained on: of the trained label mode and the training split, and not left out by [mix]"

SELECT *
FROM samples
WHERE label_mode = $train_label_mode
    AND split = 'train'
    AND NOT array_has($mix_leave_out, dataset)
    AND NOT array_has($mix_leave_out, concat(dataset, '/', subset))
