"""What commands do, one file a job: from what is read and what is asked for to files, and what
there is to say of them. The main job is :mod:`stagecast.serving.pipeline`.

reading, requests -> jobs -> runs (files), reports (pages), scoring, store
"""
