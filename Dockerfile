# The service in a container.
#
#   docker build -t aligngemini .                    the CPU image
#   docker build -t aligngemini:cuda --target cuda . with ONNX Runtime and PyTorch for NVIDIA GPUs
#   docker run --rm -p 8000:8000 aligngemini
#
# Then open http://localhost:8000 in a browser. Images are
# not kept; for jobs, mount a volume at /data and add: serve --host 0.0.0.0 --jobs /data

FROM python:3.12-slim AS base
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY src ./src

FROM base AS cuda
# CUDA and cuDNN come with the wheels; the host brings the driver (NVIDIA Container Toolkit).
RUN pip install '.[serve,scan,vlm]' \
 && pip uninstall --yes onnxruntime \
 && pip install 'onnxruntime-gpu[cuda,cudnn]'
RUN useradd --create-home --uid 10001 reader && mkdir /data && chown reader /data
USER reader
VOLUME /data
EXPOSE 8000
HEALTHCHECK --start-period=120s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
ENTRYPOINT ["aligngemini"]
CMD ["serve", "--host", "0.0.0.0", "--device", "cuda"]

FROM base AS cpu
RUN pip install '.[serve,scan]'
RUN useradd --create-home --uid 10001 reader && mkdir /data && chown reader /data
USER reader
VOLUME /data
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
ENTRYPOINT ["aligngemini"]
CMD ["serve", "--host", "0.0.0.0"]
